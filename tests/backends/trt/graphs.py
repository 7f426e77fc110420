"""Small ONNX graphs for TensorRT's builder, and an installed TensorRT-RTX to build them with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

SIDE = 16


def rtx() -> Any:
    """Return TensorRT-RTX's Python module, or skip the test where it is not installed."""
    return pytest.importorskip("tensorrt_rtx", reason="no tensorrt_rtx here: pip install 'bakeoff[tensorrt-rtx]'")


def convolution(
    *, batch: int | None = None, half: bool = False, quantised: bool = False, entry: str = "images"
) -> bytes:
    """Return a convolution and its SiLU: float32 in and out, FP16 or 8 bits between where asked."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(0).standard_normal((8, 3, 3, 3)).astype(np.float32)
    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    constants: dict[str, Any] = {"w": weights.astype(np.float16 if half else np.float32)}
    nodes = [helper.make_node("Cast", [entry], ["x"], to=kind)] if half else []
    read = ["x" if half else entry, "w"]
    if quantised:
        top = np.abs(weights).reshape(8, -1).max(1) / 127
        constants = {
            "w": np.rint(weights / top.reshape(-1, 1, 1, 1)).astype(np.int8),
            "w_scale": top.astype(np.float32),
            "w_zero": np.zeros(8, np.int8),
            "x_scale": np.float32(1 / 127),
            "x_zero": np.int8(0),
        }
        nodes += [
            helper.make_node("QuantizeLinear", [read[0], "x_scale", "x_zero"], ["x_q"]),
            helper.make_node("DequantizeLinear", ["x_q", "x_scale", "x_zero"], ["x_dq"]),
            helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["w_dq"], axis=0),
        ]
        read = ["x_dq", "w_dq"]
    nodes += [
        helper.make_node("Conv", read, ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Sigmoid", ["c"], ["s"], name="sigmoid"),
        helper.make_node("Mul", ["c", "s"], ["y" if half else "output0"], name="silu"),
    ]
    nodes += [helper.make_node("Cast", ["y"], ["output0"], to=TensorProto.FLOAT)] if half else []
    size = "batch" if batch is None else batch
    graph = helper.make_graph(
        nodes,
        "convolution",
        [helper.make_tensor_value_info(entry, TensorProto.FLOAT, [size, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [size, 8, SIDE, SIDE])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    document = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(document)
    return bytes(document.SerializeToString())


def unsupported() -> bytes:
    """Return a graph with an operator that no parser knows."""
    import onnx

    document = onnx.load_from_string(convolution())
    node = next(node for node in document.graph.node if node.name == "sigmoid")
    node.op_type = "NoSuchOperator"
    return bytes(document.SerializeToString())
