"""TensorRT-RTX, for PCs with RTX cards; it builds on hosts without a GPU too."""

from __future__ import annotations

from bakeoff.backends.trt.backend import TensorRtBackend


class TensorRtRtx(TensorRtBackend):
    """Builds for the compute capabilities that it is told."""

    name = "tensorrt_rtx"
    title = "TensorRT-RTX"
    module = "tensorrt_rtx"
    extra = "tensorrt-rtx"
