"""The part of a `predict.py` for TensorRT; for TensorRT-RTX the name of the imported module differs."""

from pathlib import Path
from typing import Any

import numpy as np

IMGSZ = 640
FILE, SKIP, HOST_CODE = "model.engine", 0, False  # bytes before the engine; whether it brings runtime code of its own


def load() -> Any:
    """Return a function from images (1, 3, IMGSZ, IMGSZ) to the head's output (4 + classes, anchors)."""
    import tensorrt as trt
    from cuda.bindings import runtime as cuda

    reader = trt.Runtime(trt.Logger(trt.Logger.ERROR))
    reader.engine_host_code_allowed = HOST_CODE
    engine = reader.deserialize_cuda_engine((Path(__file__).parent / FILE).read_bytes()[SKIP:])
    context = engine.create_execution_context()
    context.set_input_shape(engine.get_tensor_name(0), (1, 3, IMGSZ, IMGSZ))
    head = np.empty(tuple(context.get_tensor_shape(engine.get_tensor_name(1))), np.float32)
    there = [int(cuda.cudaMalloc(nbytes)[1]) for nbytes in (12 * IMGSZ * IMGSZ, head.nbytes)]
    bound = [context.set_tensor_address(engine.get_tensor_name(i), address) for i, address in enumerate(there)]

    def run(images: Any) -> Any:
        cuda.cudaMemcpy(there[0], images.ctypes.data, images.nbytes, cuda.cudaMemcpyKind.cudaMemcpyHostToDevice)
        ran = all(bound) and context.execute_async_v3(0)
        (code,) = cuda.cudaMemcpy(head.ctypes.data, there[1], head.nbytes, cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost)
        assert (ran, int(code)) == (True, 0), f"TensorRT ran: {ran}, CUDA says: {code}"
        return head[0]

    return run
