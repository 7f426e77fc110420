"""ONNX Runtime's part of a `predict.py`."""

from pathlib import Path
from typing import Any

FILE, THREADS, SPINNING = "b1.onnx", 0, "1"  # 0 threads: ONNX Runtime's own choice


def load() -> Any:
    """Return a function from images (1, 3, IMGSZ, IMGSZ) to the head's output (4 + classes, anchors)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", SPINNING)
    file = str(Path(__file__).parent / FILE)
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})[0][0]
