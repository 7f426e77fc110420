"""ONNX Runtime on the CPU: FP32, and INT8 as Q/DQ graphs."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bakeoff.backend import (
    Adopted,
    BaseSession,
    ConvertJob,
    Images,
    LoadJob,
    Outputs,
    Step,
    check_in_force,
    missing,
    other_shapes,
    thread_counts,
    tuning_of,
    version_of,
)
from bakeoff.backends import elsewhere, qdq, ranking, scripts
from bakeoff.errors import InputError, one_line
from bakeoff.records import MIXED, Artifact, Candidate, Host, Model, Recipe, Script

# SiLU too: 52 ms of CPU time, 83 with convolutions alone, 97 in FP32; mAP50-95 0.628, 0.604, 0.600
# (docs/decisions/0013-onnx-quantiser.md)
QUANTISED = ("Conv", "Sigmoid", "Mul", "Add")
QDQ = "Q/DQ"
NO_SPIN = "nospin"  # idle threads sleep at once, instead of looking for work in a loop first
SPINNING = "session.intra_op.allow_spinning"  # https://onnxruntime.ai/docs/performance/tune-performance/threading.html


class OnnxRuntime:
    """One ONNX file for each batch size, or one with a dynamic batch."""

    name = "onnxruntime"
    title = "ONNX Runtime"
    adopts = "ONNX files (.onnx)"

    def probe(self) -> str:
        """See `Backend.probe`."""
        import onnxruntime

        if "CPUExecutionProvider" not in onnxruntime.get_available_providers():
            raise RuntimeError("this build of onnxruntime has no CPU execution provider")
        return str(onnxruntime.__version__)

    def unavailable(self, step: Step) -> str | None:
        """See `Backend.unavailable`."""
        if step is Step.CONVERT and (reason := missing("onnx", "onnx")):
            return reason
        return missing("onnxruntime", "onnx")

    def propose(self, model: Model, host: Host) -> Sequence[Candidate]:
        """See `Backend.propose`. A file with a fixed batch can't be given another."""
        shapes = ["static", "b1", "dyn"] if model.fixed_batch is None else [f"b{model.fixed_batch}"]

        def candidate(precision: str, shape: str, *options: str, on_request: bool = False) -> Candidate:
            return Candidate(
                backend=self.name,
                precision=precision,
                shape=shape,
                options=options,
                title=self.title,
                on_request=on_request,
            )

        return [
            *(candidate("fp32", shape) for shape in shapes),
            candidate("int8", shapes[0]),
            *(candidate("int8", shapes[0], method, on_request=True) for method in qdq.METHODS[1:]),
            candidate(MIXED, shapes[0], on_request=True),
        ]

    def tunings(self, candidate: Candidate, host: Host, threads: int) -> Sequence[tuple[str, ...]]:
        """See `Tunable.tunings`. A single thread has no others that could spin."""
        counts = thread_counts(host, threads)
        quiet = [(f"t{count}", NO_SPIN) for count in counts if 1 < count <= host.cores_usable]
        return [*((f"t{count}",) for count in counts), *([(NO_SPIN,)] if threads > 1 else []), *quiet]

    def shapes(self, candidate: Candidate, batches: Sequence[int]) -> Sequence[Candidate]:
        """See `Shapable.shapes`."""
        return other_shapes(candidate, batches)

    def convert(self, job: ConvertJob) -> Artifact:
        """See `Backend.convert`. For FP32 the exported ONNX is the Artifact."""
        shape = job.candidate.shape
        batches = {"static": job.batches, "dyn": (None,)}.get(shape, (int(shape[1:]) if shape[1:].isdigit() else 1,))
        sources = {batch: job.model.onnx(batch) for batch in batches}
        how: dict[str, Any] = {"converter": "ONNX export", "onnx": version_of("onnx")}
        if job.candidate.precision == "fp32":
            for batch, source in sources.items():
                shutil.copyfile(source, job.folder / _file_name(batch))
        else:
            how |= _quantise(job, sources)
        return Artifact.of(job.folder, batches=[batch for batch in batches if batch is not None], **how)

    def takes(self, path: Path) -> bool:
        """See `Adopter.takes`."""
        return path.suffix.lower() == ".onnx"

    def adopt(self, path: Path, model: Model) -> Adopted:
        """See `Adopter.adopt`. What it computes in is told by the graph that ONNX Runtime makes of it on this CPU."""
        if reason := missing("onnx", "onnx"):
            raise InputError(f"artifact {path} needs onnx to be read: {reason}")
        return _adopted(path, model)

    def describe(self, path: Path, imgsz: int | None, class_names: Sequence[str]) -> Model:
        """See `Describer.describe`."""
        if reason := missing("onnx", "onnx"):
            raise InputError(f"artifact {path} needs onnx to be read: {reason}")
        import onnx

        try:
            document = onnx.load(str(path), load_external_data=False)
        except Exception as error:  # protobuf has errors of its own
            raise InputError(f"artifact {path} is damaged or no ONNX file: {one_line(error, 160)}") from error
        metadata = {entry.key: entry.value for entry in document.metadata_props}
        return elsewhere.model_of(path, metadata, imgsz, class_names)

    def load(self, job: LoadJob) -> OnnxRuntimeSession:
        """See `Backend.load`."""
        import onnxruntime

        asked = tuning_of(job.candidate, numbers=("t",), words=(NO_SPIN,))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = job.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        if NO_SPIN in asked:
            options.add_session_config_entry(SPINNING, "0")
        files = {batch: Path(job.artifact.folder) / _file_name(batch) for batch in (job.artifact.batches or (None,))}
        if job.candidate.precision != "fp32":
            kind = QuantisedSession if job.artifact.how.get("form", QDQ) == QDQ else IntegerSession
            return kind(files, options, job)
        sessions = {
            batch: onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
            for batch, file in files.items()
        }
        return OnnxRuntimeSession(sessions, job)

    def script(self, candidate: Candidate, artifact: Artifact) -> Script:
        """See `Scripted.script`."""
        file, spin = _file_name(1 if artifact.batches else None), "0" if NO_SPIN in candidate.tuning else "1"
        return scripts.script("onnxruntime", "onnxruntime", FILE=file, THREADS=candidate.threads or 0, SPINNING=spin)

    def rank(self, job: ConvertJob) -> Recipe:
        """See `Ranker.rank`."""
        return ranking.rank(job, QUANTISED)


def _quantise(job: ConvertJob, sources: Mapping[int | None, Path]) -> dict[str, Any]:
    """Write a Q/DQ graph for each source and say how."""
    import onnx

    calibration = qdq.images_of(job)
    float_layers = qdq.float_layers_of(job) if job.candidate.precision == MIXED else ()
    documents = {batch: qdq.read(path) for batch, path in sources.items()}
    method = next(iter(job.candidate.options), qdq.METHODS[0])
    # tensors have the same names for every batch size: one pass over the images serves all
    ranges = qdq.calibrate(documents[min(documents, key=lambda batch: batch or 0)], calibration, QUANTISED, method)
    reduce_range = saturates()
    for batch, document in documents.items():
        nodes = qdq.chosen(document, QUANTISED, float_layers)
        onnx.save(qdq.quantise(document, ranges, nodes, reduce_range=reduce_range), str(job.folder / _file_name(batch)))
    return {
        "quantiser": "onnxruntime.quantization",
        "onnxruntime": version_of("onnxruntime"),
        "activations": "uint8",
        "weights": "int7 per channel" if reduce_range else "int8 per channel",
        "reduce_range": reduce_range,
        "calibration_method": method,
        "calibration_images": len(calibration),
        "calibration_seed": calibration.seed,
        "layers": len(qdq.layers(next(iter(documents.values())))),
        "float_layers": list(float_layers),
    }


def saturates() -> bool:
    """Whether ONNX Runtime adds products of 8 bits up in 16 on this CPU, where they saturate: an x86 without VNNI."""
    return probe_error() > qdq.SATURATED


def probe_error() -> float:
    """Return how far off one convolution of the largest 8-bit values comes out, as a share of what it should be."""
    probe = qdq.largest_products()
    got, want = (
        qdq.session(probe, in_float=in_float).run(None, {"x": np.ones(qdq.PROBED, np.float32)})[0].mean()
        for in_float in (False, True)
    )
    return float(abs(got - want) / want)


class OnnxRuntimeSession(BaseSession):
    """InferenceSessions by batch size; the one under `None` takes any."""

    def __init__(self, sessions: Mapping[int | None, Any], job: LoadJob) -> None:
        self._sessions = sessions
        first = next(iter(sessions.values()))
        found = _settings(first)
        check_in_force(job.candidate, {"threads": job.threads, "spinning": NO_SPIN not in job.candidate.tuning}, found)
        self._input = first.get_inputs()[0].name
        providers = first.get_providers()
        dtype = first.get_inputs()[0].type
        super().__init__(
            device="cpu" if providers == ["CPUExecutionProvider"] else ",".join(providers),
            precision={"tensor(float)": "fp32", "tensor(float16)": "fp16"}.get(dtype, dtype),
            details={**found, "providers": providers},
        )

    def run(self, images: Images) -> Outputs:
        """See `Session.run`."""
        session = self._sessions.get(len(images)) or self._sessions[None]
        outputs: Outputs = session.run(None, {self._input: images})
        return outputs


class IntegerSession(OnnxRuntimeSession):
    """InferenceSessions of quantised graphs, whose integer operations are counted."""

    def __init__(self, files: Mapping[int | None, Path], options: Any, job: LoadJob) -> None:
        import onnxruntime

        self._files, self._threads = files, job.threads
        sessions, convolutions = {}, {}
        with tempfile.TemporaryDirectory() as folder:
            optimised = Path(folder) / "optimised.onnx"
            options.optimized_model_filepath = str(optimised)
            for batch, file in files.items():
                sessions[batch] = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
                convolutions[batch] = _convolutions(optimised)
        super().__init__(sessions, job)
        how = job.artifact.how
        layers, kept = how["layers"], how.get("float_count", len(how["float_layers"]))
        fewest = min(found["int8"] for found in convolutions.values())
        self.details |= {"convolutions": convolutions[next(iter(files))], "layers": layers, "float_layers": kept}
        if fewest == layers - kept:
            self.precision = MIXED if kept else "int8"
        else:
            self.precision = f"int8 in {fewest} of {layers} convolutions ({kept} were kept in float on purpose)"


class QuantisedSession(IntegerSession):
    """InferenceSessions of Q/DQ graphs, which ONNX Runtime turns into integer operations where it can."""

    def __init__(self, files: Mapping[int | None, Path], options: Any, job: LoadJob) -> None:
        super().__init__(files, options, job)
        self._emulating: dict[Path, Any] = {}

    def emulate(self, images: Images) -> Outputs:
        """See `Emulator.emulate`: without graph optimisation each operation between DQ and Q is computed in float."""
        import onnxruntime

        file = self._files.get(len(images)) or self._files[None]
        if file not in self._emulating:
            options = onnxruntime.SessionOptions()
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
            options.intra_op_num_threads = self._threads
            options.log_severity_level = 3
            providers = ["CPUExecutionProvider"]
            self._emulating[file] = onnxruntime.InferenceSession(str(file), options, providers=providers)
        outputs: Outputs = self._emulating[file].run(None, {self._input: images})
        return outputs

    def saturates(self) -> bool | None:
        """See `Emulator.saturates`."""
        return None if missing("onnx", "onnx") else saturates()


def _settings(session: Any) -> dict[str, Any]:
    """Return what an InferenceSession says of its threads; the entry on spinning is there only where it was set."""
    options = session.get_session_options()
    try:
        spinning = options.get_session_config_entry(SPINNING) != "0"
    except RuntimeError:
        spinning = True
    return {"threads": options.intra_op_num_threads, "spinning": spinning}


def _convolutions(file: Path) -> dict[str, int]:
    """Count the convolutions of the graph that ONNX Runtime really runs, integer and float.

    A node's `op_type` is field 4 of its protobuf message, so these bytes stand in the file once a node: reading them
    needs no `onnx` package, whose weight would count as the Session's memory.
    """
    content = file.read_bytes()

    def nodes(kind: str) -> int:
        return content.count(b"\x22" + bytes([len(kind)]) + kind.encode())

    return {"int8": nodes("QLinearConv") + nodes("ConvInteger"), "fp32": nodes("Conv") + nodes("FusedConv")}


def _adopted(path: Path, model: Model) -> Adopted:
    """Read an ONNX file made elsewhere.

    Raises:
        InputError: it is broken, or not for the Model.
    """
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "optimised.onnx")
        try:
            document = onnx.load(str(path), load_external_data=False)
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            running = onnx.load(options.optimized_model_filepath, load_external_data=False)
        except Exception as error:  # protobuf and ONNX Runtime each have errors of their own
            raise InputError(f"artifact {path} is damaged or no ONNX file: {one_line(error, 160)}") from error
    inputs, head = session.get_inputs(), session.get_outputs()[0]
    if len(inputs) != 1:
        raise InputError(f"artifact {path} has {len(inputs)} inputs; expected one, the images")
    for value, what in ((inputs[0], "input"), (head, "output")):
        if value.type != "tensor(float)":
            raise InputError(f"artifact {path}: its {what} is {value.type}; make it with float32 in- and outputs")
    kept = elsewhere.check_metadata(path, session.get_modelmeta().custom_metadata_map, model)
    shape = elsewhere.check_images(path, model, _free(inputs[0].shape))
    given = _free(head.shape)
    if None in given[1:]:  # it is told by an output alone
        image = np.zeros((1, 3, model.imgsz, model.imgsz), np.float32)
        given = list(session.run([head.name], {inputs[0].name: image})[0].shape)
    elsewhere.check_head(path, model, given)
    operations = Counter(node.op_type for node in running.graph.node)
    if any(_is_half(weight) for weight in _weights(running)):
        raise InputError(f"artifact {path} computes in float16 here, which this backend has no precision for yet")
    integer = operations["QLinearConv"] + operations["ConvInteger"]
    # a convolution of one output channel only sums up a distribution: no layer, as in `qdq.layers`
    sums = sum(weight.dims[0] == 1 for weight in _weights(document) if weight is not None and weight.dims)
    in_float = max(0, operations["Conv"] + operations["FusedConv"] - sums)
    how: dict[str, Any] = {"metadata": kept}
    stored = {node.op_type for node in document.graph.node}
    if integer:
        how |= {"layers": integer + in_float, "float_layers": [], "float_count": in_float}
        how["form"] = "integer operations" if stored & {"QLinearConv", "ConvInteger"} else QDQ
    # 8-bit values that this CPU computes with in float, and weights of 16 bits, are options: not what is computed in
    half = any(_is_half(tensor) for tensor in document.graph.initializer)
    options_of_key = {"qdq": "QuantizeLinear" in stored, "fp16-weights": half} if not integer else {}
    batch = None if shape == "dyn" else 1
    return Adopted(
        precision="fp32" if not integer else MIXED if in_float else "int8",
        shape=shape,
        options=tuple(name for name, there in options_of_key.items() if there),
        files={_file_name(batch): path, **{name: path.parent / name for name in _external(path, document)}},
        batches=() if batch is None else (batch,),
        how=how,
    )


def _free(shape: Sequence[Any]) -> list[int | None]:
    return [size if isinstance(size, int) and size > 0 else None for size in shape]


def _weights(document: Any) -> list[Any]:
    """Return the weights of each float convolution, or `None` where they are computed."""
    known = {tensor.name: tensor for tensor in document.graph.initializer}
    return [known.get(node.input[1]) for node in document.graph.node if node.op_type in ("Conv", "FusedConv")]


def _is_half(tensor: Any) -> bool:
    import onnx

    return tensor is not None and tensor.data_type == onnx.TensorProto.FLOAT16


def _external(path: Path, document: Any) -> list[str]:
    """Return the names of the files beside an ONNX file that hold its weights."""
    tensors = [
        *document.graph.initializer,
        *(attribute.t for node in document.graph.node for attribute in node.attribute if attribute.HasField("t")),
    ]
    names = dict.fromkeys(
        entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"
    )
    for name in names:
        if Path(name).is_absolute() or ".." in Path(name).parts or not (path.parent / name).is_file():
            raise InputError(
                f"artifact {path}: its weights should lie in {one_line(name, 80)!r} beside it; they do not"
            )
    return list(names)


def _file_name(batch: int | None) -> str:
    return "dynamic.onnx" if batch is None else f"b{batch}.onnx"
