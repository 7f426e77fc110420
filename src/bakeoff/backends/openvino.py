"""OpenVINO on the CPU: FP32, FP16 weights, and INT8 by NNCF, the worst layers in float where a recipe says so."""

from __future__ import annotations

import sys
import threading
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
    ultralytics_metadata,
    version_of,
)
from bakeoff.backends import elsewhere, ir, qdq, scripts
from bakeoff.records import MIXED, Artifact, Candidate, Host, Model, Script

NO_PIN = "nopin"  # the system moves threads between cores
THROUGHPUT = "throughput"  # OpenVINO's hint: it chooses the number of streams for this network
SETTINGS = {  # of details -> OpenVINO's properties
    "hint": "PERFORMANCE_HINT",
    "threads": "INFERENCE_NUM_THREADS",
    "streams": "NUM_STREAMS",
    "pinning": "ENABLE_CPU_PINNING",
}

# openvino and nncf report each conversion over the network through this package, without asking; both do without it
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


class OpenVino:
    """One IR with a dynamic batch, or with a fixed one; the dynamic one can be given fixed shapes when it is loaded."""

    name = "openvino"
    title = "OpenVINO"
    adopts = "OpenVINO's IR (.xml, or its folder)"

    def probe(self) -> str:
        """See `Backend.probe`."""
        import openvino

        if "CPU" not in openvino.Core().available_devices:
            raise RuntimeError("OpenVINO finds no CPU device")
        return version_of("openvino")

    def unavailable(self, step: Step) -> str | None:
        """See `Backend.unavailable`. INT8 needs NNCF besides; its Candidate says so where it is missing."""
        return missing("openvino", "openvino")

    def propose(self, model: Model, host: Host) -> Sequence[Candidate]:
        """See `Backend.propose`."""
        shape = "dyn" if model.fixed_batch is None else f"b{model.fixed_batch}"
        proposed = [
            Candidate(backend=self.name, precision="fp32", shape=shape, title=self.title),
            Candidate(backend=self.name, precision="fp32", shape=shape, options=(ir.FP16_WEIGHTS,), title=self.title),
            Candidate(backend=self.name, precision="int8", shape=shape, title=self.title),
            Candidate(backend=self.name, precision=MIXED, shape=shape, title=self.title, on_request=True),
        ]
        if "amx_bf16" in host.instruction_sets:  # what OpenVINO does by default where it is fast
            proposed.insert(2, Candidate(backend=self.name, precision="bf16", shape=shape, title=self.title))
        return proposed

    def tunings(self, candidate: Candidate, host: Host, threads: int) -> Sequence[tuple[str, ...]]:
        """See `Tunable.tunings`. Streams share out the threads; it never takes more than the machine has cores."""
        streams = [1 << i for i in range(1, threads.bit_length()) if 1 << i <= threads]
        return [
            *((f"t{count}",) for count in thread_counts(host, threads) if count <= host.cores_usable),
            *((f"s{count}",) for count in streams),
            (THROUGHPUT,),
            (NO_PIN,),
            *((f"s{count}", NO_PIN) for count in streams),
        ]

    def shapes(self, candidate: Candidate, batches: Sequence[int]) -> Sequence[Candidate]:
        """See `Shapable.shapes`."""
        return other_shapes(candidate, batches)

    def convert(self, job: ConvertJob) -> Artifact:
        """See `Backend.convert`. A static Artifact is the dynamic one, with the batch sizes that it is compiled for."""
        shape = job.candidate.shape
        source = job.model.onnx(None if shape in ("static", "dyn") else int(shape[1:]))
        import openvino

        model = openvino.convert_model(str(source))
        how: dict[str, Any] = {"converter": "openvino.convert_model", "openvino": version_of("openvino")}
        if job.candidate.precision in ("int8", MIXED):
            model, quantised = _quantise(model, job)
            how |= quantised
        # the default of save_model is FP16 weights: say it either way
        compress = ir.FP16_WEIGHTS in job.candidate.options
        (job.folder / ir.FOLDER).mkdir()
        openvino.save_model(model, str(job.folder / ir.FOLDER / "model.xml"), compress_to_fp16=compress)
        metadata = ultralytics_metadata(job.model.model, int(shape[1:]) if shape[1:].isdigit() else None)
        elsewhere.write_metadata_file(job.folder / ir.FOLDER / ir.METADATA, metadata)
        batches = job.batches if shape == "static" else ()
        return Artifact.of(job.folder, batches=batches, **how, compress_to_fp16=compress)

    def takes(self, path: Path) -> bool:
        """See `Adopter.takes`."""
        return path.suffix.lower() == ".xml" or (path.is_dir() and any(path.glob("*.xml")))

    def adopt(self, path: Path, model: Model) -> Adopted:
        """See `Adopter.adopt`. What it computes in is told by the kernels that OpenVINO chooses for it on this CPU."""
        return ir.adopt(path, model)

    def describe(self, path: Path, imgsz: int | None, class_names: Sequence[str]) -> Model:
        """See `Describer.describe`."""
        folder = path if path.is_dir() else path.parent
        return elsewhere.model_of(path, elsewhere.metadata_file(folder / ir.METADATA), imgsz, class_names)

    def load(self, job: LoadJob) -> OpenVinoSession:
        """See `Backend.load`.

        On CPUs with AMX or AVX512-BF16 OpenVINO computes an FP32 model in bfloat16 unless told otherwise: that is a
        Candidate of its own, and never what FP32 means.
        """
        kind = QuantisedSession if job.candidate.precision in ("int8", MIXED) else OpenVinoSession
        return kind(_compiled(job), job)

    def script(self, candidate: Candidate, artifact: Artifact) -> Script:
        """See `Scripted.script`. Without a setting the number of threads is OpenVINO's own choice."""
        return scripts.script(
            "openvino",
            "openvino",
            "Without the hint it would compute in bfloat16 on some CPUs.",
            FILE=_name(artifact),
            STATIC=bool(artifact.batches),
            PROPERTIES=_properties(candidate, _asked(candidate, candidate.threads)),
        )


def _file(job: LoadJob) -> str:
    return str(Path(job.artifact.folder) / _name(job.artifact))


def _name(artifact: Artifact) -> str:
    """Return where the network lies: in the first Runs it has no folder of its own."""
    return next(file.path for file in artifact.files if file.path.endswith(".xml"))


def _compiled(job: LoadJob, *, in_float: bool = False) -> dict[int | None, Any]:
    """Compile the job's Artifact as its Candidate asks for, by batch size; the one under `None` takes any.

    `in_float` computes what is quantised in float (`_compute_in_float`).
    """
    import openvino

    core = openvino.Core()
    compiled = {}
    for batch in job.artifact.batches or (None,):
        model: Any = _file(job)
        if batch is not None or in_float:
            model = core.read_model(model)
        if batch is not None:
            dimensions = list(model.input(0).get_partial_shape())
            model.reshape(openvino.PartialShape([batch, *dimensions[1:]]))
        if in_float:
            _compute_in_float(model)
        properties = _properties(job.candidate, _asked(job.candidate, job.threads))
        compiled[batch] = core.compile_model(model, "CPU", properties)
    return compiled


def _properties(candidate: Candidate, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a Candidate asks of OpenVINO, in its words."""
    settings = {SETTINGS[name]: value for name, value in asked.items()}
    settings["INFERENCE_PRECISION_HINT"] = "bf16" if candidate.precision == "bf16" else "f32"
    return settings


def _asked(candidate: Candidate, threads: int | None) -> dict[str, Any]:
    """Return the settings that a Candidate asks for, by the names of `details`; no threads: OpenVINO's choice."""
    tuning = tuning_of(candidate, numbers=("t", "s"), words=(THROUGHPUT, NO_PIN))
    asked: dict[str, Any] = {"hint": "THROUGHPUT" if THROUGHPUT in tuning else "LATENCY"}
    if threads is not None:
        asked["threads"] = threads
    if "s" in tuning:
        asked["streams"] = tuning["s"]
    if NO_PIN in tuning:
        asked["pinning"] = False
    return asked


def _quantise(model: Any, job: ConvertJob) -> tuple[Any, dict[str, Any]]:
    if reason := missing("nncf", "openvino"):
        raise RuntimeError(reason)
    calibration = qdq.images_of(job)
    float_layers = qdq.float_layers_of(job) if job.candidate.precision == MIXED else ()
    import nncf

    presets = {"mixed": nncf.QuantizationPreset.MIXED, "performance": nncf.QuantizationPreset.PERFORMANCE}
    decoding = _decoding(model)
    overflow_fix = nncf.OverflowFix.ENABLE if saturates() else nncf.OverflowFix.FIRST_LAYER  # the latter is the default
    quantised = nncf.quantize(
        model,
        nncf.Dataset(calibration),
        preset=presets[calibration.preset],
        subset_size=len(calibration),
        fast_bias_correction=True,
        ignored_scope=nncf.IgnoredScope(names=[*decoding, *_named(model, float_layers)], validate=False),
        advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=overflow_fix),
    )
    how = {
        "quantiser": "nncf.quantize",
        "nncf": version_of("nncf"),
        "preset": calibration.preset,
        "overflow_fix": overflow_fix.value,
        "calibration_images": len(calibration),
        "calibration_seed": calibration.seed,
        "kept_float": f"{len(decoding)} operations that decode the head's output",
        "layers": len(_layers(model)),
        "float_layers": list(float_layers),
    }
    return quantised, how


def saturates() -> bool:
    """Whether OpenVINO adds products of 8 bits up in 16 on this CPU, where they saturate: an x86 without VNNI."""
    return probe_error() > qdq.SATURATED


def probe_error() -> float:
    """Return how far off one convolution of the largest 8-bit values comes out, as a share of what it should be."""
    import openvino
    import openvino.opset13 as ops

    x = ops.parameter([1, 64, 8, 8], np.float32)
    low, high = np.float32(0), np.float32(1)
    levels = ops.fake_quantize(x, low, high, low, high, 256)
    integers = ops.convert(ops.constant(np.full((32, 64, 1, 1), 127, np.int8)), "f32")
    weights = ops.multiply(integers, np.full((32, 1, 1, 1), 1 / 127, np.float32))
    model = openvino.Model([ops.convolution(levels, weights, [1, 1], [0, 0], [0, 0], [1, 1])], [x])
    settings = {"INFERENCE_PRECISION_HINT": "f32"}

    def mean() -> float:
        return float(openvino.compile_model(model, "CPU", settings)(np.ones((1, 64, 8, 8), np.float32))[0].mean())

    got = mean()
    _compute_in_float(model)
    want = mean()
    return abs(got - want) / want


def _compute_in_float(model: Any) -> None:
    """Replace every FakeQuantize by float operations, by the formula of its specification.

    Without any, no convolution gets an 8-bit kernel.
    https://docs.openvino.ai/latest/openvino_docs_ops_quantization_FakeQuantize_1.html
    """
    import openvino.opset13 as ops

    for node in model.get_ordered_ops():
        if node.get_type_name() != "FakeQuantize":
            continue
        x, low, high, out_low, out_high = (node.input_value(i) for i in range(5))
        steps = np.float32(node.get_attributes()["levels"] - 1)
        width = ops.maximum(ops.subtract(high, low), np.float32(1e-30))  # a range of no width is its one value
        share = ops.divide(ops.subtract(ops.minimum(ops.maximum(x, low), high), low), width)
        level = ops.divide(ops.round(ops.multiply(share, steps), "half_to_even"), steps)
        result = ops.add(ops.multiply(level, ops.subtract(out_high, out_low)), out_low)
        node.output(0).replace(result.output(0))


def _layers(model: Any) -> dict[str, Any]:
    """Return the convolutions by name, without those that only sum up a distribution (1 output channel)."""
    return {
        node.get_friendly_name(): node
        for node in model.get_ordered_ops()
        if node.get_type_name() in ("Convolution", "GroupConvolution")
        and node.get_output_partial_shape(0)[1].get_max_length() != 1
    }


def _named(model: Any, layers: Sequence[str]) -> list[str]:
    """Return what OpenVINO calls some layers of the ONNX network.

    Raises:
        RuntimeError: it has no convolution for one of them.
    """
    known = _layers(model)
    # a convolution's bias becomes an operation of its own, which keeps the name
    found = {
        layer: next((name for name in (f"{layer}/WithoutBiases", layer) if name in known), None) for layer in layers
    }
    if strange := [layer for layer, name in found.items() if name is None]:
        raise RuntimeError(
            f"OpenVINO's network has no layer {', '.join(strange[:5])}; it has {', '.join([*known][:3])}, …"
        )
    return [name for name in found.values() if name is not None]


def _decoding(model: Any) -> list[str]:
    """Return the names of the operations after the network's last convolutions: they turn features into pixels.

    In 8 bits a coordinate of 0..640 pixels moves in steps of 2.5, and scores that share a tensor with it vanish. The
    1-channel convolution of a distribution-focal head only sums up a distribution: it counts as decoding too.
    """
    layers = _layers(model)
    feeds_convolution: set[str] = set()
    for node in reversed(model.get_ordered_ops()):
        name = node.get_friendly_name()
        consumers = (
            port.get_node().get_friendly_name() for output in node.outputs() for port in output.get_target_inputs()
        )
        if name in layers or any(consumer in feeds_convolution for consumer in consumers):
            feeds_convolution.add(name)
    passive = ("Parameter", "Result", "Constant")
    return [
        node.get_friendly_name()
        for node in model.get_ordered_ops()
        if node.get_friendly_name() not in feeds_convolution and node.get_type_name() not in passive
    ]


class OpenVinoSession(BaseSession):
    """Compiled models by batch size (the one under `None` takes any), an infer request of each for each thread."""

    def __init__(self, models: Mapping[int | None, Any], job: LoadJob) -> None:
        self._models = models
        self._local = threading.local()
        compiled, *others = models.values()
        kinds = ir.convolutions(compiled)
        precisions = {ir.computed_in(one) for one in (kinds, *map(ir.convolutions, others))}
        found = _in_force(compiled)
        if job.candidate.tuning:  # without, OpenVINO may take fewer threads than given, and `details` tells
            check_in_force(job.candidate, _asked(job.candidate, job.threads), found)
        super().__init__(
            device=",".join(device.split(".")[0] for device in compiled.get_property("EXECUTION_DEVICES")).lower(),
            precision=" and ".join(sorted(precisions)),
            details={**found, "convolutions": dict(kinds)},
        )
        if kept := len(job.artifact.how.get("float_layers", ())):
            integer = job.artifact.how["layers"] - kept
            as_meant = kinds["int8"] == integer
            self.precision = MIXED if as_meant else f"{kinds['int8']} convolutions in int8, not {integer}"
            self.details["float_layers"] = kept

    def run(self, images: Images) -> Outputs:
        """See `Session.run`."""
        requests = self._local.__dict__.setdefault("requests", {})
        batch = len(images) if len(images) in self._models else None
        if batch not in requests:
            requests[batch] = self._models[batch].create_infer_request()
        requests[batch].infer([images], share_inputs=True)
        count = len(self._models[batch].outputs)
        return [np.asarray(requests[batch].get_output_tensor(i).data) for i in range(count)]


class QuantisedSession(OpenVinoSession):
    """Compiled models that compute in 8 bits what reads the outputs of FakeQuantize operations."""

    def __init__(self, models: Mapping[int | None, Any], job: LoadJob) -> None:
        super().__init__(models, job)
        self._job = job
        self._emulating: OpenVinoSession | None = None

    def emulate(self, images: Images) -> Outputs:
        """See `Emulator.emulate`."""
        if self._emulating is None:
            self._emulating = emulation(self._job)
        return self._emulating.run(images)

    def saturates(self) -> bool:
        """See `Emulator.saturates`."""
        return saturates()


def emulation(job: LoadJob) -> OpenVinoSession:
    """Load an INT8 Artifact so that all of it is computed in float."""
    return OpenVinoSession(_compiled(job, in_float=True), job)


def _in_force(compiled: Any) -> dict[str, Any]:
    """Return what OpenVINO made of the settings, as plain values: types of its own are no JSON."""
    found = {name: compiled.get_property(of_openvino) for name, of_openvino in SETTINGS.items()}
    return {name: value if isinstance(value, int) else str(value) for name, value in found.items()}
