"""OpenVINO on the CPU: FP32, FP16 weights, and INT8 by NNCF."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bakeoff.backend import (
    BaseSession,
    Calibration,
    ConvertJob,
    Images,
    LoadJob,
    Outputs,
    Step,
    missing,
    version_of,
)
from bakeoff.records import Artifact, Candidate, Host, Model

FP16_WEIGHTS = "fp16-weights"

# openvino and nncf report each conversion over the network through this package, without asking; both do without it
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


class OpenVino:
    """One IR with a dynamic batch (or the fixed one of an ONNX file that has no other)."""

    name = "openvino"
    title = "OpenVINO"

    def probe(self) -> str:
        """See `Backend.probe`."""
        import openvino

        if "CPU" not in openvino.Core().available_devices:
            raise RuntimeError("OpenVINO finds no CPU device")
        return version_of("openvino")

    def unavailable(self, step: Step) -> str | None:
        """See `Backend.unavailable`. INT8 needs NNCF besides; its Candidate says so where it is missing."""
        return missing("openvino", "openvino")

    def propose(self, model: Model, host: Host) -> Sequence[Candidate]:
        """See `Backend.propose`."""
        shape = "dyn" if model.fixed_batch is None else f"b{model.fixed_batch}"
        proposed = [
            Candidate(backend=self.name, precision="fp32", shape=shape, title=self.title),
            Candidate(backend=self.name, precision="fp32", shape=shape, options=(FP16_WEIGHTS,), title=self.title),
            Candidate(backend=self.name, precision="int8", shape=shape, title=self.title),
        ]
        if "amx_bf16" in host.instruction_sets:  # what OpenVINO does by default where it is fast
            proposed.insert(2, Candidate(backend=self.name, precision="bf16", shape=shape, title=self.title))
        return proposed

    def convert(self, job: ConvertJob) -> Artifact:
        """See `Backend.convert`."""
        shape = job.candidate.shape
        source = job.model.onnx(None if shape == "dyn" else int(shape[1:]))
        import openvino

        model = openvino.convert_model(str(source))
        how: dict[str, Any] = {"converter": "openvino.convert_model", "openvino": version_of("openvino")}
        if job.candidate.precision == "int8":
            model, quantised = _quantise(model, job.calibration)
            how |= quantised
        # the default of save_model is FP16 weights: say it either way
        compress = FP16_WEIGHTS in job.candidate.options
        openvino.save_model(model, str(job.folder / "model.xml"), compress_to_fp16=compress)
        return Artifact.of(job.folder, **how, compress_to_fp16=compress)

    def load(self, job: LoadJob) -> OpenVinoSession:
        """See `Backend.load`.

        On CPUs with AMX or AVX512-BF16 OpenVINO computes an FP32 model in bfloat16 unless told otherwise: that is a
        Candidate of its own, and never what FP32 means.
        """
        import openvino

        compiled = openvino.Core().compile_model(
            str(Path(job.artifact.folder) / "model.xml"),
            "CPU",
            {
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": "bf16" if job.candidate.precision == "bf16" else "f32",
                "INFERENCE_NUM_THREADS": job.threads,
            },
        )
        return OpenVinoSession(compiled, job.threads)


def _quantise(model: Any, calibration: Calibration | None) -> tuple[Any, dict[str, Any]]:
    if reason := missing("nncf", "openvino"):
        raise RuntimeError(reason)
    if calibration is None or not len(calibration):
        raise RuntimeError("INT8 needs calibration images: a 'train' split in the dataset, or --calibration DIR")
    import nncf

    presets = {"mixed": nncf.QuantizationPreset.MIXED, "performance": nncf.QuantizationPreset.PERFORMANCE}
    decoding = _decoding(model)
    quantised = nncf.quantize(
        model,
        nncf.Dataset(calibration),
        preset=presets[calibration.preset],
        subset_size=len(calibration),
        fast_bias_correction=True,
        ignored_scope=nncf.IgnoredScope(names=decoding, validate=False),
    )
    how = {
        "quantiser": "nncf.quantize",
        "nncf": version_of("nncf"),
        "preset": calibration.preset,
        "calibration_images": len(calibration),
        "calibration_seed": calibration.seed,
        "kept_float": f"{len(decoding)} operations that decode the head's output",
    }
    return quantised, how


def _decoding(model: Any) -> list[str]:
    """Return the names of the operations after the network's last convolutions: they turn features into pixels.

    In 8 bits a coordinate of 0..640 pixels moves in steps of 2.5, and scores that share a tensor with it vanish. The
    1-channel convolution of a distribution-focal head only sums up a distribution: it counts as decoding too.
    """
    feeds_convolution: set[str] = set()
    for node in reversed(model.get_ordered_ops()):
        name = node.get_friendly_name()
        is_layer = node.get_type_name() == "Convolution" and node.get_output_partial_shape(0)[1].get_max_length() != 1
        consumers = (
            port.get_node().get_friendly_name() for output in node.outputs() for port in output.get_target_inputs()
        )
        if is_layer or any(consumer in feeds_convolution for consumer in consumers):
            feeds_convolution.add(name)
    passive = ("Parameter", "Result", "Constant")
    return [
        node.get_friendly_name()
        for node in model.get_ordered_ops()
        if node.get_friendly_name() not in feeds_convolution and node.get_type_name() not in passive
    ]


class OpenVinoSession(BaseSession):
    """A compiled model, an infer request for each thread."""

    def __init__(self, compiled: Any, threads: int) -> None:
        self._compiled = compiled
        self._local = threading.local()
        kinds: Counter[str] = Counter()
        for node in compiled.get_runtime_model().get_ops():
            info = node.get_rt_info()
            if "layerType" in info and str(info["layerType"].astype(str)) == "Convolution":
                kinds[_precision(str(info["primitiveType"].astype(str)))] += 1
        super().__init__(
            device=",".join(device.split(".")[0] for device in compiled.get_property("EXECUTION_DEVICES")).lower(),
            precision=kinds.most_common(1)[0][0] if kinds else "unknown",
            details={"threads": threads, "convolutions": dict(kinds)},
        )

    def run(self, images: Images) -> Outputs:
        """See `Session.run`."""
        request = getattr(self._local, "request", None)
        if request is None:
            request = self._local.request = self._compiled.create_infer_request()
        request.infer([images], share_inputs=True)
        return [np.asarray(request.get_output_tensor(i).data) for i in range(len(self._compiled.outputs))]


def _precision(primitive: str) -> str:
    """Return what a kernel computes in, from its name (`brgconv_avx512_f32`, `brgconv_avx512_amx_I8`).

    `runtimePrecision` beside it tells how the weights are stored: f16 for a convolution that runs in f32.
    """
    suffix = primitive.rpartition("_")[2].lower()
    names = {"f32": "fp32", "fp32": "fp32", "f16": "fp16", "fp16": "fp16", "i8": "int8", "u8": "int8"}
    return names.get(suffix, suffix)
