"""ONNX graphs in FP16 by cast insertion, with some nodes kept in float32; inputs and outputs of the graph stay float32.

The casts are those of `onnxruntime.transformers.float16`, tidied: as it leaves them, an island of several nodes passes
through FP16 between any two of them, and two islands that read one tensor cast it to one name
(docs/decisions/0019-tensorrt-precision.md).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

MOST = 65504.0  # FP16's largest value


def cast(document: Any, islands: Collection[str]) -> Any:
    """Return a copy of a float32 document (from `qdq.read`) that computes in FP16, all but the nodes of these names.

    Raises:
        onnx.checker.ValidationError: the types of the result don't fit together.
    """
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    copy = onnx.ModelProto()
    copy.CopyFrom(document)
    _divide_constants(copy.graph, islands)
    made = convert_float_to_float16(copy, keep_io_types=True, node_block_list=list(islands))
    _tidy(made.graph)
    return checked(made)


def checked(document: Any) -> Any:
    """Return a document with its nodes in order and its types inferred anew.

    Raises:
        onnx.checker.ValidationError: it is no valid ONNX.
    """
    import onnx

    _sort(document.graph)
    del document.graph.value_info[:]
    onnx.checker.check_model(document, full_check=True)
    return onnx.shape_inference.infer_shapes(document, check_type=True, strict_mode=True)


def rounded(document: Any) -> Any:
    """Return an FP16 document as a float32 one that rounds each tensor as FP16 does.

    ONNX Runtime has few FP16 kernels for CPUs. It computes the others in float32, and leaves out the rounding between
    them: in FP16, 1 + 2048 - 2048 is 0, and 1 there. Casts that the graph itself asks for, it keeps.
    """
    import onnx
    from onnx import helper, numpy_helper

    copy = onnx.shape_inference.infer_shapes(document)
    graph = copy.graph
    half = {one.name for one in graph.value_info if one.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16}
    for tensor in graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT16:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
    nodes = []
    for node in graph.node:
        found = [name for name in node.output if name in half]
        for number, name in enumerate(node.output):
            if name in found:
                node.output[number] = f"{name}_exact"
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == onnx.TensorProto.FLOAT16:
                attribute.i = onnx.TensorProto.FLOAT
        nodes.append(node)
        for name in found:
            to, back = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
            nodes.append(helper.make_node("Cast", [f"{name}_exact"], [f"{name}_half"], f"{name}_round", to=to))
            nodes.append(helper.make_node("Cast", [f"{name}_half"], [name], f"{name}_back", to=back))
    _replace(graph.node, nodes)
    return checked(copy)


def _divide_constants(graph: Any, islands: Collection[str]) -> None:
    """Give the islands copies of the constants that other nodes read too: those become FP16."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    outside = {name for node in graph.node if node.name not in islands for name in node.input}
    for node in graph.node:
        for number, name in enumerate(node.input):
            if node.name in islands and name in outside and name in constants:
                node.input[number] = own = f"{name}_float32"
                if own not in constants:
                    constants[own] = graph.initializer.add()
                    constants[own].CopyFrom(constants[name])
                    constants[own].name = own


def _tidy(graph: Any) -> None:
    """Drop casts that are there twice, and those to FP16 and back."""
    import onnx

    seen: set[str] = set()
    nodes = []
    for node in graph.node:
        if node.op_type != "Cast" or node.output[0] not in seen:
            nodes.append(node)
        seen.update(node.output)
    made = {name: node for node in nodes for name in node.output}
    outputs = {value.name for value in graph.output}
    instead: dict[str, str] = {}  # tensor -> the one that stands for it
    for node in nodes:
        before = made.get(node.input[0]) if _casts_to(node, onnx.TensorProto.FLOAT) else None
        if before is not None and _casts_to(before, onnx.TensorProto.FLOAT16):
            kept, gone = before.input[0], node.output[0]
            if gone in outputs and kept in made:
                kept, gone = gone, kept  # the name of an output stays
            instead[gone] = kept
            node.op_type = ""
    nodes = [node for node in nodes if node.op_type]
    for node in nodes:
        for names in (node.input, node.output):
            for number, name in enumerate(names):
                names[number] = _end(instead, name)
    while True:
        read = {name for node in nodes for name in node.input} | outputs
        left = [node for node in nodes if node.op_type != "Cast" or node.output[0] in read]
        if len(left) == len(nodes):
            break
        nodes = left
    _replace(graph.node, nodes)


def _casts_to(node: Any, kind: int) -> bool:
    return bool(node.op_type == "Cast" and any(one.name == "to" and one.i == kind for one in node.attribute))


def _end(instead: dict[str, str], name: str) -> str:
    while name in instead:
        name = instead[name]
    return name


def _sort(graph: Any) -> None:
    """Put each node after those whose outputs it reads, as ONNX asks."""
    pending = {name for node in graph.node for name in node.output}
    left, nodes = list(graph.node), []
    while left:
        waiting = []
        for node in left:
            if pending.intersection(node.input):
                waiting.append(node)
            else:
                nodes.append(node)
                pending.difference_update(node.output)
        if len(waiting) == len(left):
            raise RuntimeError(f"the graph has a loop through {waiting[0].name}")
        left = waiting
    _replace(graph.node, nodes)


def _replace(field: Any, entries: Iterable[Any]) -> None:
    """Put other entries into a repeated field; the old ones may be among them."""
    kept = [type(entry).FromString(entry.SerializeToString()) for entry in entries]
    del field[:]
    field.extend(kept)
