"""The ONNX graph that a strongly typed TensorRT network is parsed from, for each precision.

TensorRT takes the types from the graph: FP32 and TF32 are the exported ONNX, FP16 has casts, INT8 has Q/DQ pairs, and
casts around the rest. Inputs and outputs are always float32.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bakeoff.backend import ConvertJob, Images, version_of
from bakeoff.backends import qdq
from bakeoff.backends.trt import fp16, options
from bakeoff.records import MIXED

QUANTISED = ("Conv",)  # what they read; SiLU between them stays in FP16, where TensorRT fuses it with the convolution
QDQ_OPSET = 19  # the first whose Q/DQ take FP16
OBSERVED = 8  # calibration images whose tensors are looked at for values that FP16 can't hold
MOST = fp16.MOST / 4  # of an observed value: other images have larger ones
LOST = 2.0**-9  # share of a weight tensor that rounding it may take; 2**-12 is usual


@dataclass(frozen=True)
class Prepared:
    """A graph for TensorRT's parser, and how it was made."""

    document: Any  # onnx.ModelProto
    how: dict[str, Any]  # plain JSON values


def prepare(job: ConvertJob, precision: str, batch: int | None, opset: int) -> Prepared:
    """Return the graph of a Model at this precision.

    Args:
        job: its Model, calibration images (INT8 needs them, FP16 looks at a few of them) and Recipe are used; of its
            Candidate, the calibration method among the options.
        precision: `fp32`, `tf32`, `fp16`, `int8` or `int8+fp32`.
        batch: as in `ModelForms.onnx`.
        opset: of the export. INT8 takes at least 19.

    Raises:
        RuntimeError: there are no calibration images, no Recipe, or no layers.
    """
    import onnx

    quantised = precision in ("int8", MIXED)
    least = max(opset, QDQ_OPSET) if quantised else opset
    source = job.model.onnx(batch, least)
    single = job.model.onnx(1, least) if batch not in (None, 1) else source  # tensors have the same names in both
    if precision in ("fp32", "tf32"):
        document = onnx.load(str(source))
        return Prepared(document, {"converter": "ONNX export", **_versions(document)})
    document = qdq.read(source, opset=least if quantised else 0)
    observed = document if single == source else qdq.read(single, opset=least if quantised else 0)
    kept = qdq.float_layers_of(job) if precision == MIXED else ()
    nodes = qdq.chosen(document, QUANTISED, kept)
    peaks = _peaks(observed, itertools.islice(job.calibration or (), OBSERVED))
    islands = _islands(document, peaks, kept)
    how: dict[str, Any] = {
        "converter": "onnxruntime.transformers.float16",
        "onnxruntime": version_of("onnxruntime"),
        "float32_nodes": {reason: len(names) for reason, names in islands.items()},
        "float32_islands": {reason: names for reason, names in islands.items() if reason not in ("decoding", "shapes")},
        "observed_images": min(OBSERVED, len(job.calibration or ())),
    }
    everywhere = {name for names in islands.values() for name in names}
    if quantised:
        calibration = qdq.images_of(job)
        method = options.options_of(job.candidate).method or options.METHOD
        ranges = joined(document, qdq.calibrate(observed, calibration, QUANTISED, method))
        made = qdq.quantise(document, ranges, nodes, activations="QInt8", bias=False, inputs_only=True)
        made = _with_half_scales(fp16.cast(made, everywhere | _pairs_of(made, everywhere)), document)
        counts = Counter(node.op_type for node in made.graph.node)
        how |= {
            "quantiser": "onnxruntime.quantization",
            "activations": "int8, symmetric",
            "weights": "int8 per channel, symmetric",
            "calibration_method": method,
            "calibration_images": len(calibration),
            "calibration_seed": calibration.seed,
            "layers": len(qdq.layers(document)),
            "float_layers": list(kept),
            "quantize_nodes": counts["QuantizeLinear"],
            "dequantize_nodes": counts["DequantizeLinear"],
        }
    else:
        made = fp16.cast(document, everywhere)
    return Prepared(made, how | _versions(made))


def _versions(document: Any) -> dict[str, Any]:
    return {"onnx": version_of("onnx"), "opset": qdq.opset_of(document)}


def _peaks(document: Any, images: Iterable[Images]) -> dict[str, float]:
    """Return the largest magnitude of each of the body's tensors on these images."""
    images = list(images)
    if not images:
        return {}
    ranges = qdq.calibrate(document, images, sorted({node.op_type for node in qdq.body(document)}))
    return {name: max(-low, high) for name, (low, high) in ranges.items()}


def _islands(document: Any, peaks: dict[str, float], kept: Sequence[str]) -> dict[str, list[str]]:
    """Return the nodes that stay in float32 by reason, each under one reason alone."""
    body = qdq.body(document)
    inside = {node.name for node in body}
    layers = qdq.layers(document)
    unfit = {tensor.name for tensor in document.graph.initializer if _lost(tensor) > LOST}
    large = {name for name, peak in peaks.items() if not peak <= MOST}
    reasons = {
        "decoding": [node.name for node in document.graph.node if node.name not in inside],
        "shapes": _shapes(document),
        "recipe": [name for layer in kept for name in layers[layer]],
        "overflow": [node.name for node in body if large.intersection((*node.input, *node.output))],
        "weights": [node.name for node in body if unfit.intersection(node.input)],
    }
    seen: set[str] = set()
    islands = {}
    for reason, names in reasons.items():
        islands[reason] = [name for name in names if name not in seen]
        seen.update(names)
    return islands


def _lost(tensor: Any) -> float:
    """Return what rounding a constant to FP16 changes, as a share of it: 1 or more where it overflows or vanishes."""
    import onnx

    if tensor.data_type != onnx.TensorProto.FLOAT:
        return 0.0
    values = onnx.numpy_helper.to_array(tensor).astype(np.float64)
    with np.errstate(over="ignore"):
        lost = np.linalg.norm(values - np.clip(values, -fp16.MOST, fp16.MOST).astype(np.float16))
    return float(lost / (np.linalg.norm(values) or 1.0))


def _shapes(document: Any) -> list[str]:
    """Return the nodes that compute with shapes: in FP16, numbers above 2048 are no longer whole."""
    constants = {tensor.name for tensor in document.graph.initializer}
    made: set[str] = set()
    found = []
    for node in document.graph.node:
        read = [name for name in node.input if name and name not in constants]
        if node.op_type in ("Shape", "Size") or (read and made.issuperset(read)):
            made.update(node.output)
            found.append(node.name)
    return found


def _pairs_of(document: Any, islands: Collection[str]) -> set[str]:
    """Return the Q that read what an island writes, and the DQ that islands alone read."""
    made = {name: node.name for node in document.graph.node for name in node.output}
    readers: dict[str, list[str]] = {}
    for node in document.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node.name)
    found = set()
    for node in document.graph.node:
        before, after = made.get(node.input[0]) if node.input else None, readers.get(node.output[0], [])
        if (node.op_type == "QuantizeLinear" and before in islands) or (
            node.op_type == "DequantizeLinear" and after and all(name in islands for name in after)
        ):
            found.add(node.name)
    return found


def joined(document: Any, ranges: qdq.Ranges) -> qdq.Ranges:
    """Give what a Concat joins the range of the whole, so that one scale does for both.

    TensorRT then joins 8-bit tensors as they are. With a scale of its own each would be rounded twice.
    """
    found = dict(ranges)
    for node in reversed(document.graph.node):  # a Concat may be joined by a later one
        if node.op_type == "Concat" and node.output[0] in found:
            found |= {name: found[node.output[0]] for name in node.input if name in found}
    return found


def _with_half_scales(document: Any, source: Any) -> Any:
    """Quantise the weights anew with their scales as FP16 has them, rounded up.

    Scales below 2**-14 lose digits as FP16: with those that the weights were quantised with, a channel of small weights
    would come out larger or smaller than it is. Those of an island are float32 and stay as they are.
    """
    import onnx
    from onnx import numpy_helper

    constants = {tensor.name: tensor for tensor in document.graph.initializer}
    weights = {tensor.name: tensor for tensor in source.graph.initializer}
    convolved = {node.input[1] for node in document.graph.node if node.op_type in QUANTISED}
    for node in document.graph.node:
        quantised = constants.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if quantised is None or node.output[0] not in convolved:
            continue
        scale = constants[node.input[1]]
        if scale.data_type == onnx.TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(weights[quantised.name.removesuffix("_quantized")]).astype(np.float32)
        top = np.abs(values).reshape(len(values), -1).max(1) / 127
        half = top.astype(np.float16)
        half = np.where(half < top, np.nextafter(half, np.float16(np.inf)), half)
        half = np.maximum(half, np.finfo(np.float16).smallest_subnormal)
        if scale.data_type != onnx.TensorProto.FLOAT16 or scale.dims != [len(values)]:
            raise RuntimeError(f"the scale of {node.name} is not FP16, one a channel: onnxruntime has changed its ways")
        column = half.astype(np.float32).reshape(-1, *[1] * (values.ndim - 1))
        eight = np.clip(np.rint(values / column), -127, 127).astype(np.int8)
        scale.CopyFrom(numpy_helper.from_array(half, scale.name))
        quantised.CopyFrom(numpy_helper.from_array(eight, quantised.name))
    return document
