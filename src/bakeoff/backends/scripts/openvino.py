"""OpenVINO's part of a `predict.py`."""

from pathlib import Path
from typing import Any

IMGSZ = 640
FILE, STATIC = "model.xml", False  # static: the batch is fixed when the model is compiled
PROPERTIES = {"INFERENCE_PRECISION_HINT": "f32"}


def load() -> Any:
    """Return a function from images (1, 3, IMGSZ, IMGSZ) to the head's output (4 + classes, anchors)."""
    import openvino

    core = openvino.Core()
    model = core.read_model(Path(__file__).parent / FILE)
    if STATIC:
        model.reshape([1, 3, IMGSZ, IMGSZ])
    request = core.compile_model(model, "CPU", PROPERTIES).create_infer_request()

    def run(images: Any) -> Any:
        request.infer([images], share_inputs=True)
        return request.get_output_tensor(0).data[0]

    return run
