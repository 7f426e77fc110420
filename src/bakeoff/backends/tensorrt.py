"""TensorRT, for Jetson modules and data-centre and workstation GPUs: versions 10.3 to 11."""

from __future__ import annotations

from bakeoff.backends.trt.backend import TensorRtBackend


class TensorRt(TensorRtBackend):
    """Builds on the GPU that it runs on."""

    name = "tensorrt"
    title = "TensorRT"
    module = "tensorrt"
    extra = "tensorrt"
    suggested = True
