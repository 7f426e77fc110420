"""ONNX networks as Q/DQ graphs, for the backends that take them: ranges by calibration, 8 bits by ONNX Runtime's tools.

Not a backend. A *layer* is a convolution with constant weights and more than one output channel, its activation
function included. All that comes after the last layers is *decoding* and stays in float
(docs/decisions/0011-int8-head-in-float.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bakeoff.backend import Calibration, ConvertJob, Images
from bakeoff.errors import one_line

ACTIVATIONS = ("Sigmoid", "Mul")  # what SiLU is made of
METHODS = ("minmax", "entropy", "percentile")
PERCENTILE = 99.9999  # clips one value of a million; ONNX Runtime's 99.999 clips what a detector's rare large ones say
BINS, LEVELS = 2048, 128  # of a histogram of magnitudes, and the positive half of 8 bits: TensorRT's figures
SATURATED = 0.1  # error of a convolution of the largest 8-bit values: see benchmarks/results/saturation.json, `probes`
PROBED = (1, 64, 1, 1)  # shape of the input `x` of `largest_products`
SAMPLED = 1 << 16  # values of a tensor of one image that a histogram counts

Floats = npt.NDArray[np.float32]
Ranges = dict[str, tuple[float, float]]  # tensor -> lowest and highest value that 8 bits have to cover


def images_of(job: ConvertJob) -> Calibration:
    """Return the job's calibration images.

    Raises:
        RuntimeError: it has none.
    """
    if job.calibration is None or not len(job.calibration):
        raise RuntimeError("INT8 needs calibration images: a 'train' split in the dataset, or --calibration DIR")
    return job.calibration


def float_layers_of(job: ConvertJob) -> tuple[str, ...]:
    """Return the layers that the job's recipe keeps in float.

    Raises:
        RuntimeError: there is no recipe, or it is another model's.
    """
    recipe, model = job.recipe, job.model.model
    if recipe is None:
        raise RuntimeError(f"{job.candidate.key} needs a recipe that says which layers stay in float; none was given")
    if recipe.model_sha256 != model.sha256:
        raise RuntimeError(
            f"the recipe is for the model {recipe.model_sha256[:12]}…, but {model.path} is {model.sha256[:12]}…; "
            "make one for this model"
        )
    return recipe.float_layers


def read(path: Path, *, opset: int = 0) -> Any:
    """Return an ONNX file as a `ModelProto` with its tensors' types; a node without a name gets its output's.

    Raises:
        RuntimeError: the file's opset is below `opset`, and onnx can't raise it.
    """
    import onnx

    document = onnx.shape_inference.infer_shapes(_raised(onnx.load(str(path)), opset, path))
    graph = document.graph
    for node in [node for node in graph.node if node.op_type == "Constant" and node.attribute[0].name == "value"]:
        tensor = graph.initializer.add()
        tensor.CopyFrom(node.attribute[0].t)
        tensor.name = node.output[0]
        graph.node.remove(node)
    weights = {tensor.name for tensor in graph.initializer}
    for entry in [entry for entry in graph.input if entry.name in weights]:  # as old exporters list them
        graph.input.remove(entry)
    for node in graph.node:
        node.name = node.name or node.output[0]
    return document


def opset_of(document: Any) -> int:
    """Return the version of ONNX's own operators that a document uses."""
    return int(max((entry.version for entry in document.opset_import if entry.domain in ("", "ai.onnx")), default=1))


def _raised(document: Any, opset: int, path: Path) -> Any:
    """Return the document with operators of at least this version."""
    import onnx

    found = opset_of(document)
    if found >= opset:
        return document
    try:
        made = onnx.version_converter.convert_version(document, opset)
    except Exception as error:
        raise RuntimeError(
            f"{path.name} uses opset {found}; opset {opset} is needed, and onnx cannot raise it "
            f"({one_line(error, 120)}): export the model again with opset {opset}"
        ) from error
    newest = onnx.helper.find_min_ir_version_for(made.opset_import, ignore_unknown=True)
    made.ir_version = max(made.ir_version, newest)
    return made


def layers(document: Any) -> dict[str, list[str]]:
    """Return the layers in order: each convolution's name -> the names of its nodes, its own and its activation's.

    The 1-channel convolution of a distribution-focal head only sums up a distribution: it is none.
    """
    weights = {tensor.name: tensor.dims for tensor in document.graph.initializer}
    made: dict[str, list[str]] = {}  # tensor -> the nodes of the one layer that it comes from
    found = {}
    for node in document.graph.node:
        if node.op_type == "Conv" and weights.get(node.input[1], (1,))[0] != 1:
            found[node.name] = made[node.output[0]] = [node.name]
        elif node.op_type in ACTIVATIONS:
            sources = [made.get(name) for name in node.input]
            if sources[0] is not None and all(source is sources[0] for source in sources):
                sources[0].append(node.name)
                made[node.output[0]] = sources[0]
    return found


def body(document: Any) -> list[Any]:
    """Return the nodes that lead to a layer, layers included, in order: all but the decoding."""
    known = layers(document)
    needed: set[str] = set()
    found = []
    for node in reversed(document.graph.node):
        if node.name in known or needed.intersection(node.output):
            needed.update(node.input)
            found.append(node)
    return found[::-1]


def calibrate(document: Any, images: Iterable[Images], ops: Sequence[str], method: str = "minmax") -> Ranges:
    """Return the ranges of all tensors that quantising the body's nodes of these types can touch.

    One image at a time: what is kept of it are two numbers a tensor, or a histogram.
    """
    if method not in METHODS:
        raise ValueError(f"calibration method {method!r}; expected one of {', '.join(METHODS)}")
    names = _tensors(document, ops)
    run = _observer(document, names)
    ranges = dict.fromkeys(names, (0.0, 0.0))
    for image in images:
        for name, values in run(image):
            low, high = ranges[name]
            ranges[name] = min(low, float(values.min())), max(high, float(values.max()))
    if method == "minmax":
        return ranges
    tops = {name: max(-low, high) for name, (low, high) in ranges.items()}
    counts = {name: np.zeros(BINS, np.int64) for name in names}
    for image in images:
        for name, values in run(image):
            if tops[name]:
                counts[name] += _histogram(values, tops[name])
    clip = {"entropy": _entropy_bins, "percentile": _percentile_bins}[method]
    for name, (low, high) in ranges.items():
        top = tops[name] * clip(counts[name]) / BINS
        ranges[name] = max(low, -top), min(high, top)
    return ranges


def chosen(document: Any, ops: Sequence[str], float_layers: Sequence[str] = ()) -> list[str]:
    """Return the names of the body's nodes of these types, less those of the layers that are to stay in float.

    Raises:
        RuntimeError: the network has no such layer, or no layer at all.
    """
    known = layers(document)
    if not known:
        raise RuntimeError("the network has no convolution with constant weights: there is nothing to quantise")
    if strange := [name for name in float_layers if name not in known]:
        raise RuntimeError(f"the network has no layer {', '.join(strange[:5])}; it has {', '.join([*known][:3])}, …")
    kept = {node for layer in float_layers for node in known[layer]}
    return [node.name for node in body(document) if node.op_type in ops and node.name not in kept]


def quantise(
    document: Any,
    ranges: Ranges,
    nodes: Sequence[str],
    *,
    reduce_range: bool = False,
    activations: str = "QUInt8",
    bias: bool = True,
    inputs_only: bool = False,
) -> Any:
    """Return a copy of the document with Q/DQ pairs around some of its nodes.

    Args:
        document: from `read`.
        ranges: from `calibrate`, of this document or of one for another batch size.
        nodes: their names.
        reduce_range: 7-bit weights, for CPUs that add products of 8 bits up in 16.
        activations: ONNX Runtime's name for their 8-bit type; `QInt8` is symmetric.
        bias: whether biases are quantised too, to 32 bits. TensorRT's parser refuses that.
        inputs_only: what the nodes read alone; what they write stays as it is, for an activation function to follow in
            more than 8 bits.
    """
    import onnx
    from onnxruntime.quantization import QDQQuantizer, QuantType
    from onnxruntime.quantization.calibrate import TensorData
    from onnxruntime.quantization.quant_utils import add_infer_metadata

    copy = onnx.ModelProto()
    copy.CopyFrom(document)
    if not nodes:  # to the quantiser, none means all
        return copy
    add_infer_metadata(copy)  # otherwise it is written to a file and its types inferred once more
    types = sorted({node.op_type for node in copy.graph.node if node.name in nodes})
    quantizer = QDQQuantizer(
        copy,
        per_channel=True,
        reduce_range=reduce_range,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType[activations],
        tensors_range={
            name: TensorData(lowest=np.float32(low), highest=np.float32(high)) for name, (low, high) in ranges.items()
        },
        nodes_to_quantize=list(nodes),
        nodes_to_exclude=[],
        op_types_to_quantize=types,
        extra_options={
            "ActivationSymmetric": activations == "QInt8",
            "QuantizeBias": bias,
            "OpTypesToExcludeOutputQuantization": types if inputs_only else [],
        },
    )
    return quantizer.quantize_model()


def largest_products() -> Any:
    """Return a Q/DQ graph of one convolution whose products of 8 bits, for an input of ones, are the largest."""
    import onnx
    from onnx import helper

    constants = {
        "x_scale": np.float32(1 / 255),
        "zero": np.uint8(0),
        "w": np.full((8, *PROBED[1:]), 127, np.int8),
        "w_scale": np.full(8, 1 / 127, np.float32),
        "w_zero": np.zeros(8, np.int8),
        "y_scale": np.float32(0.5),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "x_scale", "zero"], ["x_q"]),
        helper.make_node("DequantizeLinear", ["x_q", "x_scale", "zero"], ["x_dq"]),
        helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["w_dq"], axis=0),
        helper.make_node("Conv", ["x_dq", "w_dq"], ["sum"]),
        helper.make_node("QuantizeLinear", ["sum", "y_scale", "zero"], ["y_q"]),
        helper.make_node("DequantizeLinear", ["y_q", "y_scale", "zero"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "largest products",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, PROBED)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 8, 1, 1])],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _tensors(document: Any, ops: Sequence[str]) -> list[str]:
    """Return the activations that nodes of these types read and write."""
    import onnx

    typed = {value.name: value for value in (*document.graph.value_info, *document.graph.input, *document.graph.output)}
    names = dict.fromkeys(
        name for node in body(document) if node.op_type in ops for name in (*node.input, *node.output)
    )
    return [
        name for name in names if name in typed and typed[name].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    ]


def session(document: Any, *, outputs: Sequence[str] = (), in_float: bool = False) -> Any:
    """Return an `InferenceSession` of a document on the CPU.

    Args:
        document: any.
        outputs: tensors to give out too.
        in_float: compute what lies between DQ and Q in float: what 8 bits do to the figures, whatever this CPU does.
    """
    import onnx
    import onnxruntime

    copy = onnx.ModelProto()
    copy.CopyFrom(document)
    have = {value.name for value in copy.graph.output}
    copy.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in outputs if name not in have)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if in_float:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    return onnxruntime.InferenceSession(copy.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _observer(document: Any, names: Sequence[str]) -> Callable[[Images], Iterator[tuple[str, Floats]]]:
    """Return a function from an image to (name, values) of these tensors."""
    (entry,) = (value.name for value in document.graph.input)
    wanted = [name for name in names if name != entry]
    runner = session(document, outputs=wanted)

    def run(image: Images) -> Iterator[tuple[str, Floats]]:
        if entry in names:
            yield entry, image
        yield from zip(wanted, runner.run(wanted, {entry: image}), strict=True)

    return run


def _histogram(values: Floats, top: float) -> npt.NDArray[np.int64]:
    """Count magnitudes in BINS bins up to `top`; of a large tensor, SAMPLED values or a few more."""
    some = values.ravel()[:: values.size // SAMPLED | 1]  # an odd step passes through all columns of even images
    bins = (np.abs(some) * np.float32(BINS / top)).astype(np.int32)
    return np.bincount(np.minimum(bins, BINS - 1, out=bins), minlength=BINS)


def _percentile_bins(counts: npt.NDArray[np.int64]) -> int:
    """Return how many bins hold PERCENTILE % of the values."""
    below = np.cumsum(counts)
    return int(np.searchsorted(below, below[-1] * PERCENTILE / 100)) + 1 if below[-1] else BINS


def _entropy_bins(counts: npt.NDArray[np.int64]) -> int:
    """Return after how many bins to clip, so that LEVELS levels lose least (Kullback-Leibler).

    TensorRT's method (Migacz, GTC 2017). ONNX Runtime's own has as many bins as levels, so nothing to choose from: its
    ranges are those of minmax.
    """
    counts = counts.astype(np.float64)
    counts[0] = counts[1]  # zeros cost nothing in any range, and are most of all values
    best, least = BINS, np.inf
    for stop in range(LEVELS, BINS + 1, LEVELS // 8):
        kept = counts[:stop]
        wanted = kept.copy()
        wanted[-1] += counts[stop:].sum()
        edges = np.linspace(0, stop, LEVELS + 1).astype(np.int64)
        sums, filled = np.add.reduceat(kept, edges[:-1]), np.add.reduceat((kept > 0).astype(np.float64), edges[:-1])
        found = np.repeat(sums / np.maximum(filled, 1), np.diff(edges)) * (kept > 0)
        some = wanted > 0
        if not found.any() or not found[some].all():
            continue
        p, q = wanted[some] / wanted.sum(), found[some] / found.sum()
        loss = float((p * np.log(p / q)).sum())
        if loss <= least:
            best, least = stop, loss
    return best
