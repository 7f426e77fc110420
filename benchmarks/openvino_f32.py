"""Make Ultralytics' OpenVINO compute in float32, where asked by `BENCH_OPENVINO_F32=1`.

On CPUs with AMX or AVX512-BF16 OpenVINO computes an FP32 model in bfloat16 unless told otherwise: about twice as fast,
and other figures of accuracy. Ultralytics leaves it so and has no option for it; bakeoff's `openvino/fp32` asks for
float32. Like is compared with like when both are told.
"""

from __future__ import annotations

import os
from typing import Any

VARIABLE = "BENCH_OPENVINO_F32"


def default_precision() -> str:
    """Return what OpenVINO computes in on this CPU when not told."""
    import openvino

    return str(openvino.Core().get_property("CPU", "INFERENCE_PRECISION_HINT").get_type_name())


def apply() -> None:
    """Add the hint to every `compile_model` of this process, if asked to."""
    if os.environ.get(VARIABLE) != "1":
        return
    import openvino

    plain = openvino.Core.compile_model

    def compile_model(self: Any, model: Any, device_name: Any = None, config: Any = None, **others: Any) -> Any:
        hinted = {**(config or {}), "INFERENCE_PRECISION_HINT": "f32"}
        return plain(self, model, device_name, hinted, **others)

    openvino.Core.compile_model = compile_model
