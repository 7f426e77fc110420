"""The Backend that TensorRT and TensorRT-RTX share; each names its Python module, and what it is installed by."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from bakeoff.backend import Adopted, ConvertJob, LoadJob, Session, Step, missing
from bakeoff.backends import qdq
from bakeoff.backends.trt import build, engine_file, gpu, implicit, layers, log, options, versions
from bakeoff.errors import InputError, one_line
from bakeoff.records import MIXED, Artifact, Candidate, Host, Model, Problem, Script

CACHE = "BAKEOFF_TENSORRT_CACHE"  # environment variable: a folder for the timing cache and calibration caches
SUFFIXES = (".engine", ".plan", ".trt")
OPSET = 17  # of the ONNX export; parsers since TensorRT 10.3 take it
PLAIN = (("fp32", True), ("fp32", False), ("tf32", True), ("fp16", True), ("int8", True))  # whether of a free batch
DYNAMIC = "d1-2"


class TensorRtBackend:
    """One engine file, with a profile for one batch size or for a few."""

    name = ""
    title = ""
    devices = ("cuda",)
    adopts = "TensorRT engines (.engine, .plan, .trt)"
    module = ""  # to import
    extra = ""  # of bakeoff's package, to install it
    suggested = False  # whether it is worth a row on every host with an NVIDIA GPU

    def probe(self) -> str:
        """See `Backend.probe`."""
        return str(self._import().__version__)

    def unavailable(self, step: Step) -> str | None:
        """See `Backend.unavailable`."""
        generation = self._generation()
        if isinstance(generation, str):
            return generation
        here = gpu.here()
        if step is Step.CONVERT:
            if reason := missing("onnx", self.extra):
                return reason
            needed = generation.needs_gpu and isinstance(here, str)
            return f"{here}; {self.title} builds on the GPU that it runs on" if needed else None
        if isinstance(here, str):
            return f"{here}; {self.title} needs a host with one to run"
        if reason := self._unsupported(generation, here):
            return reason
        return None if _has("cuda.bindings") else f"cuda-bindings is not installed; pip install 'bakeoff[{self.extra}]'"

    def propose(self, model: Model, host: Host) -> Sequence[Candidate]:
        """See `Backend.propose`. Where none can run, all are on request: a host without a GPU wants no rows of them."""
        runs = self.unavailable(Step.RUN) is None
        worth_a_row = runs or (self.suggested and not isinstance(gpu.here(), str))
        free = model.fixed_batch is None

        def candidate(precision: str, shape: str, *parts: str, on_request: bool = True) -> Candidate:
            return Candidate(
                backend=self.name,
                precision=precision,
                shape=shape,
                options=parts,
                title=self.title,
                on_request=on_request,
            )

        plain = [
            candidate(precision, DYNAMIC if dynamic and free else "b1", on_request=not worth_a_row)
            for precision, dynamic in PLAIN
        ]
        proposed = {one.key: one for one in plain}  # with a fixed batch, two are the same
        generation = self._generation()
        if not isinstance(generation, str) and (runs or self.unavailable(Step.CONVERT) is None):
            for one in [*self._classical(free), *_variants(list(proposed.values()), generation)]:
                asked = candidate(one.precision, one.shape, *one.options)
                proposed.setdefault(asked.key, asked)
        return [one for one in proposed.values() if self._takes(one, generation)]

    def shapes(self, candidate: Candidate, batches: Sequence[int]) -> Sequence[Candidate]:
        """See `Shapable.shapes`: batch 1 alone; a range of batches; tuned for the commonest; a profile for each."""
        kept = tuple(part for part in candidate.options if not options.SHAPING.fullmatch(part))
        high = max(batches, default=1)
        forms: list[tuple[str, tuple[str, ...]]] = [("b1", ())]
        if high > 1:  # accuracy is measured image by image, so every range begins with 1
            wide = f"d1-{high}"
            common = batches[0]
            forms += [(wide, ()), *([(wide, (f"opt{common}",))] if common > 1 else []), (wide, ("profiles",))]
        return [
            msgspec.structs.replace(candidate, shape=shape, options=(*parts, *kept), on_request=True)
            for shape, parts in forms
        ]

    def convert(self, job: ConvertJob) -> Artifact:
        """See `Backend.convert`."""
        from bakeoff.backends.trt import precision

        generation = self._ready()
        trt = self._import()
        options.check(job.candidate, generation, f"{self.title} {trt.__version__}")
        prepared = precision.prepare(job, *_graph(job.candidate), OPSET)
        logger, here = log.logger(trt), gpu.here()
        asked = options.options_of(job.candidate)
        ask = build.Ask(
            precision=job.candidate.precision,
            options=asked,
            profiles=options.profiles_of(job.candidate, job.batches),
            imgsz=job.model.model.imgsz,
            targets=_targets(asked, generation, here),
            cache=Path(os.environ[CACHE]) if os.environ.get(CACHE) else None,
        )
        document = prepared.document.SerializeToString()
        with _calibrator(trt, job, ask) as (calibrator, calibration):
            ask = replace(ask, calibrator=calibrator)
            built = build.build(trt, generation, document, ask, logger=logger)
        if calibration is None and job.candidate.quantised:
            calibration = {name: prepared.how.get(f"calibration_{name}") for name in ("method", "images", "seed")}
        made = engine_file.Made(
            key=job.candidate.key,
            model_sha256=job.model.model.sha256,
            module=self.module,
            version=str(trt.__version__),
            precision=job.candidate.precision,
            profiles=built.how["profiles"],
            targets=list(ask.targets),
            gpu=None if isinstance(here, str) else here.name,
            capability=None if isinstance(here, str) else here.capability,
            hardware_level=asked.hardware,
            version_compatible=asked.compatible,
            dla=asked.dla,
            calibration=calibration,
        )
        header = engine_file.metadata(job.model.model, ask.profiles, ask.precision, asked)
        engine_file.write(job.folder, built.engine, header, made)
        built_on = here if isinstance(here, str) else f"{here.name}, compute capability {here.capability}"
        how = {**prepared.how, self.module: made.version, "built_on": built_on, "calibration": calibration, **built.how}
        return Artifact.of(job.folder, **how)

    def check(self, job: ConvertJob) -> Sequence[Problem]:
        """See `Checker.check`."""
        from bakeoff.backends.trt import check

        generation = self._ready()
        trt = self._import()
        options.check(job.candidate, generation, f"{self.title} {trt.__version__}")
        return check.check(job, *_graph(job.candidate), OPSET, max_opset=generation.opset, trt=trt)

    def load(self, job: LoadJob) -> Session:
        """See `Backend.load`."""
        from bakeoff.backends.trt import session

        generation, trt, here = self._ready(), self._import(), gpu.here()
        if isinstance(here, str):
            raise RuntimeError(f"{here}; {self.title} needs a host with one to run")
        folder = Path(job.artifact.folder)
        header, engine = engine_file.read(folder / engine_file.ENGINE)
        made = engine_file.read_sidecar(folder)
        if made is not None:
            engine_file.check_whole(made, engine)
            engine_file.refuse_elsewhere(
                made, module=self.module, version=str(trt.__version__), gpu=here, model=job.model.model
            )
        opened = session.open_session(
            trt,
            engine,
            job,
            log=log.logger(trt),
            precision=job.candidate.precision if made is None else made.precision,
            host_code=made is not None and made.version_compatible,
            dla_core=engine_file.dla_core(header),
            user_allocation=generation.user_allocation,
        )
        try:
            _report_layers(trt, opened, folder)
        except BaseException:
            opened.__exit__(None, None, None)
            raise
        return opened

    def script(self, candidate: Candidate, artifact: Artifact) -> Script:
        """See `Scripted.script`."""
        from bakeoff.backends import scripts

        folder = Path(artifact.folder)
        _, engine = engine_file.read(folder / engine_file.ENGINE)
        made = engine_file.read_sidecar(folder)
        version = "" if made is None else f" {made.version}"
        made_for = scripts.script(
            "tensorrt",
            f"{self.module}{version}, cuda-bindings",
            "Never executed: no GPU was at hand.",
            FILE=engine_file.ENGINE,
            SKIP=(folder / engine_file.ENGINE).stat().st_size - len(engine),
            HOST_CODE=made is not None and made.version_compatible,
        )
        source = made_for.source.replace("import tensorrt as", f"import {self.module} as")
        return msgspec.structs.replace(made_for, source=source)

    def takes(self, path: Path) -> bool:
        """See `Adopter.takes`. The name does not tell which of the two made an engine: the one that is here may."""
        return path.suffix.lower() in SUFFIXES

    def adopt(self, path: Path, model: Model) -> Adopted:
        """See `Adopter.adopt`."""
        from bakeoff.backends import engine

        trt = self._import()
        try:
            header, content = engine_file.read(path)
        except (ValueError, OSError) as error:
            raise InputError(f"artifact {one_line(error)}") from error
        files = {engine_file.ENGINE: path}
        beside = path.parent / engine_file.SIDECAR
        if path.name == engine_file.ENGINE and beside.is_file():  # one of ours
            files[engine_file.SIDECAR] = beside
        return engine.adopt(trt, path, model, header or {}, content, logger=log.logger(trt), files=files)

    def describe(self, path: Path, imgsz: int | None, class_names: Sequence[str]) -> Model:
        """See `Describer.describe`."""
        from bakeoff.backends import elsewhere

        try:
            header, _ = engine_file.read(path)
        except (ValueError, OSError) as error:
            raise InputError(f"artifact {one_line(error)}") from error
        return elsewhere.model_of(path, header or {}, imgsz, class_names)

    def tunings(self, candidate: Candidate, host: Host, threads: int) -> Sequence[tuple[str, ...]]:
        """See `Tunable.tunings`. There are dozens of Candidates on request: none of them gets any."""
        from bakeoff.backends.trt import session

        return () if candidate.on_request else session.TUNINGS

    def _generation(self) -> versions.Generation | str:
        """Return what the installed version can do, or why it can't be used and the cure."""
        install = f"pip install 'bakeoff[{self.extra}]'"
        if importlib.util.find_spec(self.module) is None:
            jetson = "; on a Jetson it comes with JetPack: make the environment with --system-site-packages"
            return f"{self.module} is not installed; {install}{jetson if self.module == versions.TENSORRT else ''}"
        try:
            trt = self._import()
        except Exception as error:  # a native library that is missing, in one of many ways
            return f"{self.module} is installed but does not load: {one_line(error, 120)}; {install}"
        if not hasattr(trt, "Builder"):
            return f"the package {self.module} here is empty, as type stubs or an old folder leave it; {install}"
        try:
            return versions.generation(self.module, str(trt.__version__))
        except ValueError as error:
            return str(error)

    def _import(self) -> Any:
        return importlib.import_module(self.module)

    def _ready(self) -> versions.Generation:
        generation = self._generation()
        if isinstance(generation, str):
            raise RuntimeError(generation)
        return generation

    def _unsupported(self, generation: versions.Generation, here: gpu.Gpu) -> str | None:
        """Return why this GPU is none of those that TensorRT-RTX has kernels for."""
        if not generation.targets or here.capability in generation.targets:
            return None
        return (
            f"{self.title} does not run on {here.name} (compute capability {here.capability}), only on "
            f"{', '.join(generation.targets)}; use TensorRT there: pip install 'bakeoff[tensorrt]'"
        )

    def _classical(self, free: bool) -> list[Candidate]:
        """Return the Candidates that are made the classical way, or for DLA."""
        shape = DYNAMIC if free else "b1"
        forms = [("fp16", shape, ("weak",)), ("int8", shape, ("implicit",)), ("int8", shape, ("implicit", "entropy"))]
        for core in ("dla0", "dla1"):
            forms += [("fp16", "b1", (core,)), ("int8", "b1", ("implicit", "entropy", core))]
        return [Candidate(backend=self.name, precision=p, shape=s, options=parts) for p, s, parts in forms]

    def _takes(self, candidate: Candidate, generation: versions.Generation | str) -> bool:
        """Whether this version has what a key asks for; all, where none is installed."""
        if isinstance(generation, str):
            return True
        try:
            options.check(candidate, generation, self.title)
        except ValueError:
            return False
        return True


def _variants(plain: Sequence[Candidate], generation: versions.Generation) -> list[Candidate]:
    """Return the other forms of plain Candidates that are worth a key of their own, on request."""
    found = []
    for one in plain:
        if one.shape == "b1" and one.precision == "fp32" and len(plain) > 4:
            continue  # the question that it answers is the profile's
        parts = [*(f"o{level}" for level in options.LEVELS if level != 3), "w256", "w1024", *options.HARDWARE, "vc"]
        parts += [f"sm{target.replace('.', '')}" for target in generation.targets]
        if one.shape == DYNAMIC:
            parts += ["opt2", "profiles"]
        if one.precision == "int8":
            parts += [method for method in qdq.METHODS if method != options.METHOD]
        found += [msgspec.structs.replace(one, options=(part,)) for part in parts]
        if one.precision == "int8":
            found.append(msgspec.structs.replace(one, precision=MIXED))
        if one.precision != "fp32":
            found.append(msgspec.structs.replace(one, shape="b1"))
    return found


def _graph(candidate: Candidate) -> tuple[str, int | None]:
    """Return the precision and the batch of the ONNX graph that a Candidate is built from.

    The classical way starts from the plain one: TensorRT chooses the types itself.
    """
    asked = options.options_of(candidate)
    low, high = options.batches_of(candidate)
    return "fp32" if asked.weak or asked.implicit else candidate.precision, low if low == high else None


def _targets(asked: options.Options, generation: versions.Generation, here: gpu.Gpu | str) -> tuple[str, ...]:
    """Return the compute capabilities to build for: the one asked for, that of the GPU here, or all since Ampere.

    Turing (7.5) beside others costs them speed, by NVIDIA's word: it has to be asked for.
    """
    if asked.target is not None:
        return (asked.target,)
    if not isinstance(here, str) and here.capability in generation.targets:
        return (here.capability,)
    return tuple(target for target in generation.targets if target != "7.5")


@contextlib.contextmanager
def _calibrator(trt: Any, job: ConvertJob, ask: build.Ask) -> Iterator[tuple[Any, dict[str, Any] | None]]:
    """Yield TensorRT's own calibrator for implicit INT8, and what is to be said of it; else nothing.

    Raises:
        RuntimeError: there are no images, or one of its callbacks failed.
    """
    if not ask.options.implicit:
        yield None, None
        return
    images = qdq.images_of(job)
    method = ask.options.method or qdq.METHODS[0]
    sha256 = job.model.model.sha256
    file = None if ask.cache is None else implicit.cache_file(ask.cache, images, model_sha256=sha256, method=method)
    made = implicit.calibrator(trt, images, method=method, batch=ask.profiles[0].opt, cache=file)
    try:
        yield made, {"method": f"TensorRT's {method} calibrator", "images": len(images), "seed": images.seed}
    finally:
        made.close()
        if made.error is not None:
            raise RuntimeError(f"calibration failed: {one_line(made.error)}") from made.error


def _report_layers(trt: Any, opened: Any, folder: Path) -> None:
    """Write the layer report beside the engine, and put its sum into the Session's details."""
    try:
        text = layers.inspect(trt, opened.engine)
        found = layers.parse(text)
    except (ValueError, RecursionError) as error:
        opened.details["layers"] = f"unknown: {one_line(error, 200)}"
        return
    layers.check(opened.precision, found)
    opened.details["layers"] = layers.summary(found)
    try:
        layers.write(folder, text, found)
    except OSError as error:
        print(f"no layer report: {error}")


def _has(package: str) -> bool:
    """Whether a package of a namespace is installed."""
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False
