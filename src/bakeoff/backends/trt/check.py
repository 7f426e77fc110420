"""What TensorRT would not take in an ONNX graph, or takes badly, found before anything is built."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from bakeoff.backend import Calibration, ConvertJob, Images
from bakeoff.backends import qdq
from bakeoff.backends.trt import precision as precisions
from bakeoff.errors import one_line
from bakeoff.records import MIXED, Problem

LOOKED_AT = 2  # calibration images: enough for a graph of the same form
# what `OnnxParser.supports_operator` of TensorRT-RTX 1.7 says no to, among the operators of onnx 1.23
UNSUPPORTED = frozenset(
    """AffineGrid Bernoulli BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor CenterCropPad Col2Im Compress
    ConcatFromSequence ConvInteger CumProd DFT DeformConv Det DynamicQuantizeLinear ImageDecoder MatMulInteger
    MaxRoiPool MaxUnpool MelWeightMatrix Multinomial NegativeLogLikelihoodLoss Optional OptionalGetElement
    OptionalHasElement QLinearConv QLinearMatMul RegexFullMatch SequenceAt SequenceConstruct SequenceEmpty
    SequenceErase SequenceInsert SequenceLength SequenceMap SoftmaxCrossEntropyLoss SplitToSequence StringConcat
    StringNormalizer StringSplit SwiGLU TfIdfVectorizer Unique""".split()  # noqa: SIM905
)
BY_VALUE = ("NonZero", "NonMaxSuppression", "Unique", "Compress", "Loop", "If", "Scan")  # they size outputs by values
SIZED = {"Range": (0, 1, 2), "Resize": (2, 3), "Upsample": (1,), "ConstantOfShape": (0,), "Tile": (1,), "TopK": (1,)}
WITHOUT = "export the model without it: the raw head output, before any postprocessing"
CURES = (  # in what the parser says -> way out
    (r"[Pp]lugin", f"{WITHOUT}; or bring TensorRT a plugin of this name"),
    (r"[Zz]ero.?[Pp]oint", "quantise symmetrically, with zero points of 0"),
    (r"type Int32 but must have", "leave biases unquantised (ONNX Runtime: QuantizeBias=False)"),
    (r"same input types|types of", "cast its inputs to one type"),
    (r"ONNX dat[ae] type", "export the model with float32 inputs and without strings"),
)
FLOAT_LAYERS = "nothing need be done; if too many layers are listed, train or fold them to smaller values"


def check(
    job: ConvertJob, precision: str, batch: int | None, opset: int, *, max_opset: int, trt: Any | None = None
) -> list[Problem]:
    """Return what stands in the way of building this job's graph, fatal problems first.

    Args:
        job: as for `precision.prepare`; of its calibration images a few are looked at, and none are needed.
        precision: as for `precision.prepare`.
        batch: likewise.
        opset: likewise.
        max_opset: the newest that this TensorRT's parser knows.
        trt: TensorRT's Python module, whose parser is asked; without it, lists are.
    """
    import onnx

    source = onnx.load(str(job.model.onnx(batch, opset)))
    problems = inspect(source, max_opset=max_opset)
    problems += [] if trt is not None else _unknown_operators(source)
    pairs = sum(node.op_type in ("QuantizeLinear", "DequantizeLinear") for node in source.graph.node)
    if pairs:
        what = f"the model is quantised already ({pairs} Q/DQ nodes): it was looked at as it is"
        problems.append(_problem("", what, "give the float model", fatal=True))
        return _ordered(problems, source, trt)
    if precision in ("int8", MIXED) and job.calibration is None:
        what = "there are no calibration images; the Q/DQ graph was made with a made-up one"
        problems.append(_problem("", what, "give --data with a 'train' split, or --calibration DIR", fatal=False))
    try:
        few = dataclasses.replace(job, calibration=_Few(job.calibration, job.model.model.imgsz))
        prepared = precisions.prepare(few, precision, batch, opset)
    except Exception as error:
        what = f"the {precision} graph can't be made: {type(error).__name__}: {one_line(error)}"
        problems.append(_problem("", what, "mend what it names, or leave this precision out", fatal=True))
        prepared = precisions.Prepared(source, {})
    for reason, nodes in prepared.how.get("float32_islands", {}).items():
        said = {"overflow": "its values go beyond FP16's range", "weights": "FP16 can't hold its weights"}
        if reason in said:
            problems += [_problem(name, f"{said[reason]}: it stays in float32", FLOAT_LAYERS, False) for name in nodes]
    return _ordered(problems, prepared.document, trt)


def _ordered(problems: list[Problem], document: Any, trt: Any | None) -> list[Problem]:
    """Return what was found and what the parser adds to it, fatal problems first."""
    if trt is not None:
        known = {problem.node for problem in problems if problem.fatal}
        problems = problems + [problem for problem in parse(document, trt) if problem.node not in known]
    return sorted(problems, key=lambda problem: not problem.fatal)


def inspect(document: Any, *, max_opset: int) -> list[Problem]:
    """Return the problems of a graph that no parser is needed for.

    Args:
        document: onnx.ModelProto.
        max_opset: the newest that this TensorRT's parser knows.
    """
    opset = qdq.opset_of(document)
    problems = []
    if opset > max_opset:
        what = f"opset {opset} is newer than this TensorRT's parser, which knows operators up to opset {max_opset}"
        problems.append(_problem("", what, f"export the model with opset {max_opset} or older", fatal=True))
    constants = _constants(document)
    found = [*_by_value(document, constants), *_numbers(document, constants), *_quantised(document, constants)]
    return problems + found


def parse(document: Any, trt: Any) -> list[Problem]:
    """Return what TensorRT's own parser says of a graph; it needs no GPU."""

    class Silent(trt.ILogger):  # type: ignore[misc]  # the base class is the argument's
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            """Say nothing: the parser's errors tell it."""

    logger = Silent()
    strongly = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)  # newer ones know nothing else
    try:
        network = trt.Builder(logger).create_network(0 if strongly is None else 1 << int(strongly))
        parser = trt.OnnxParser(network, logger)
    except (TypeError, RuntimeError) as error:  # a factory of TensorRT that makes nothing, without a GPU for example
        what = f"TensorRT's parser does not start here ({one_line(error, 100)}); lists of operators were used instead"
        cure = "run the check where the engine is to be built"
        return [_problem("", what, cure, fatal=False), *_unknown_operators(document)]
    if parser.parse(document.SerializeToString()):
        return []
    return [_said(parser.get_error(number), document) for number in range(parser.num_errors)]


def _said(error: Any, document: Any) -> Problem:
    """Return an error of the parser as a Problem."""
    nodes = document.graph.node
    node = nodes[error.node()] if 0 <= error.node() < len(nodes) else None
    name = error.node_name() or (_name(node) if node is not None else "")
    kind, said = error.node_operator() or (node.op_type if node is not None else ""), one_line(error.desc())
    if said in ("", "false"):
        return _problem(name, f"{kind}: this TensorRT's parser does not know the operator", WITHOUT, fatal=True)
    told = re.search(r"Error \((?:[^():]+: )?(.+?)\. In ", said)  # of what its layers say, the sentence alone
    said = told[1] if told else said.removeprefix("Assertion failed: ")
    cure = next((cure for pattern, cure in CURES if re.search(pattern, said)), WITHOUT)
    return _problem(name, f"{kind}: the parser says: {said}" if kind else f"the parser says: {said}", cure, fatal=True)


def _unknown_operators(document: Any) -> Iterator[Problem]:
    """Yield operators that no parser of TensorRT is known to take."""
    for node in document.graph.node:
        if node.domain not in ("", "ai.onnx"):
            what = f"{node.op_type} of the domain {node.domain}: TensorRT has no such operator, unless as a plugin"
            yield _problem(_name(node), what, CURES[0][1], fatal=True)
        elif node.op_type in UNSUPPORTED:
            yield _problem(_name(node), f"{node.op_type}: TensorRT has no such operator", WITHOUT, fatal=True)


def _by_value(document: Any, constants: dict[str, Any]) -> Iterator[Problem]:
    """Yield nodes whose outputs have a size that is not known when the engine is built."""
    for node in document.graph.node:
        if node.op_type in BY_VALUE:
            what = f"{node.op_type}: the size of what it puts out, or what is computed, depends on values"
            yield _problem(_name(node), f"{what}; the build may fail, and no CUDA graph holds it", WITHOUT, False)
        for place in SIZED.get(node.op_type, ()):
            name = node.input[place] if place < len(node.input) else ""
            if name and name not in constants:
                what = f"{node.op_type}: the size of its output is computed in the graph ({name})"
                cure = "export with constant sizes, such as a fixed imgsz; harmless where only the batch is free"
                yield _problem(_name(node), what, cure, False)
                break


def _numbers(document: Any, constants: dict[str, Any]) -> Iterator[Problem]:
    """Yield constants and inputs of types and values that TensorRT does not keep."""
    import onnx

    small = np.iinfo(np.int32)
    # a Slice to 2**63 means to the end, and is clamped rightly
    limits = {name for node in document.graph.node if node.op_type == "Slice" for name in node.input[1:3]}
    readers = {name: _name(node) for node in document.graph.node for name in node.input}
    for entry in document.graph.input:
        kind = entry.type.tensor_type.elem_type
        if entry.name not in constants and kind != onnx.TensorProto.FLOAT:
            what = f"input {entry.name} is {onnx.TensorProto.DataType.Name(kind)}; bakeoff feeds float32"
            yield _problem(entry.name, what, "export the model with a float32 input", True)
    for name, values in constants.items():
        node = readers.get(name, name)
        if values.dtype == np.float64:
            what = f"the constant {name} is float64: TensorRT computes with it in float32"
            yield _problem(node, what, "export the model in float32 (model.float())", False)
        elif values.dtype.kind == "f" and not np.isfinite(values).all():
            yield _problem(
                node, f"the weights {name} hold NaN or infinite values", "train or export the model again", True
            )
        elif values.dtype == np.int64 and name not in limits and (np.abs(values / small.max) > 1).any():
            what = f"the INT64 constant {name} is beyond INT32's range, which parts of TensorRT compute in"
            yield _problem(node, what, f"export the model without numbers above {small.max}", False)


def _quantised(document: Any, constants: dict[str, Any]) -> Iterator[Problem]:
    """Yield what TensorRT does not take in Q/DQ pairs that the graph has already."""
    for node in document.graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        values = constants.get(node.input[0])
        zero = constants.get(node.input[2]) if len(node.input) > 2 else None
        kinds = {one.dtype for one in (values, zero) if one is not None}
        if np.dtype(np.int32) in kinds:
            what, cure = "a bias quantised to INT32: TensorRT takes 8 bits or fewer", CURES[2][1]
        elif zero is not None and zero.any():
            what, cure = (
                f"a zero point of {int(zero.flat[np.abs(zero.astype(int)).argmax()])}: it must be 0",
                CURES[1][1],
            )
        else:
            if np.dtype(np.uint8) in kinds:
                what = "UINT8: some versions of TensorRT take it for DLA alone"
                yield _problem(_name(node), what, "quantise to INT8, symmetrically", False)
            continue
        yield _problem(_name(node), f"{node.op_type}: {what}", cure, True)


def _constants(document: Any) -> dict[str, Any]:
    """Return the values of initializers and Constant nodes by name."""
    from onnx import numpy_helper

    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in document.graph.initializer}
    for node in document.graph.node:
        if node.op_type == "Constant":
            value = next((one.t for one in node.attribute if one.name == "value"), None)
            found[node.output[0]] = np.zeros(()) if value is None else numpy_helper.to_array(value)
    return found


def _name(node: Any) -> str:
    return str(node.name or node.output[0])


def _problem(node: str, what: str, cure: str, fatal: bool) -> Problem:
    return Problem(node=node, what=what, cure=cure, fatal=fatal)


class _Few:
    """The first calibration images, or a made-up one where there are none."""

    def __init__(self, calibration: Calibration | None, imgsz: int) -> None:
        self.preset, self.seed = (calibration.preset, calibration.seed) if calibration else ("", 0)
        if calibration is not None and len(calibration):
            self._images = list(itertools.islice(calibration, LOOKED_AT))
        else:
            self._images = [np.random.default_rng(0).random((1, 3, imgsz, imgsz), np.float32)]

    def __len__(self) -> int:
        return len(self._images)

    def __iter__(self) -> Iterator[Images]:
        return iter(self._images)
