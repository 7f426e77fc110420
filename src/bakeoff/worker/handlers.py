"""What a child does for each request but `Probe`, from reading the model file to predicting for minutes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from bakeoff import deploy, models, registry
from bakeoff.accuracy import parity
from bakeoff.backend import (
    BaseSession,
    Checker,
    ConvertJob,
    Images,
    LoadJob,
    Ranker,
    Scripted,
    Session,
    Step,
    device_for,
)
from bakeoff.data.calibration import tensors
from bakeoff.data.frames import FrameCache
from bakeoff.models.tasks.detection import DEPLOYED, SCORED, Detections, decode, timed
from bakeoff.pipeline import Pipeline
from bakeoff.records import Artifact, Candidate, Model, Parity, SessionFacts
from bakeoff.speed.streams import StreamPool, warm_up
from bakeoff.worker import protocol as p
from bakeoff.worker import wire
from bakeoff.worker.adoption import take_over
from bakeoff.worker.loads import Loads


class _NeedsOnnx(BaseException):
    """Raised through a conversion whose ONNX form is still to be exported; no `except Exception` stops it."""

    def __init__(self, batch: int | None, opset: int) -> None:
        super().__init__()
        self.batch, self.opset = batch, opset


class _Forms:
    """`ModelForms`: ONNX files that the parent had exported, the PyTorch module read here on demand."""

    def __init__(self, model: Model, onnx: tuple[p.OnnxFile, ...] = ()) -> None:
        self.model = model
        self.export_s = 0.0
        self._onnx = {(file.batch, file.opset): file for file in onnx}

    def onnx(self, batch: int | None, opset: int = 17) -> Path:
        file = self._onnx.get((batch, opset))
        if file is None:
            raise _NeedsOnnx(batch, opset)
        self.export_s += file.export_s
        return Path(file.path)

    def torch_module(self) -> Any:
        file = models.open_model(Path(self.model.path), imgsz=self.model.imgsz, trust=self.model.trusted)
        if file.model.sha256 != self.model.sha256:
            raise RuntimeError(f"{self.model.path} changed since this Run began")
        return file.torch_module()


class _Calibration:
    """`Calibration`: images decoded one at a time."""

    def __init__(self, spec: p.CalibrationSpec, imgsz: int) -> None:
        self.preset, self.seed = spec.preset, spec.seed
        self._images, self._imgsz = [Path(image) for image in spec.images], imgsz

    def __len__(self) -> int:
        return len(self._images)

    def __iter__(self) -> Iterator[Images]:
        for image in self._images:
            yield tensors([image], self._imgsz)


class _Emulating(BaseSession):
    """A Session that answers with the float emulation of another's graph."""

    def __init__(self, session: Any) -> None:
        super().__init__()
        self.run = session.emulate


class Child:
    """What a child keeps between requests."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        cv2.setNumThreads(threads)
        self._file: models.ModelFile | None = None
        self._session: Session | None = None
        self._model: Model | None = None
        self._cache: FrameCache | None = None
        self._scorer: Pipeline | None = None
        self._pools: dict[str, StreamPool] = {}
        self._loads: Loads | None = None
        self._predictions: Any = None
        self._found: list[Detections] = []
        self._deployed: list[Detections] = []
        self._first_boxes: npt.NDArray[np.float32] | None = None
        self._boxes_vary = False
        self._parity = parity.Comparison()

    def handle(self, request: p.Request) -> object:
        """Do what is asked; the answer's type belongs to the request's."""
        handlers: dict[type, Any] = {
            p.Describe: self._describe,
            p.Export: self._export,
            p.Convert: self._convert,
            p.Rank: self._rank,
            p.Check: self._check,
            p.Load: self._load,
            p.Detect: self._detect,
            p.Evaluate: self._evaluate,
            p.Emulate: self._emulate,
            p.WarmUpFor: self._warm_up,
            p.Block: self._block,
            p.ServeCameras: self._load_test,
            p.Sustain: self._load_test,
            p.OpenSources: self._open_sources,
            p.NextFrame: self._next_frame,
            p.WriteScript: _write_script,
        }
        return handlers[type(request)](request)

    def close(self) -> None:
        """Finish files that are being written; all else ends with the process."""
        if self._predictions is not None:
            self._predictions.close()

    def _describe(self, request: p.Describe) -> Model:
        self._file = models.open_model(
            Path(request.path), imgsz=request.imgsz, trust=request.trust, inspect=request.inspect
        )
        return self._file.model

    def _export(self, request: p.Export) -> float:
        assert self._file is not None
        start = time.perf_counter()
        self._file.export_onnx(request.batch, request.opset, Path(request.path))
        return time.perf_counter() - start

    def _convert(self, request: p.Convert) -> p.Converted:
        backend = registry.load(request.candidate.backend)
        job, forms = _convert_job(request)
        start = time.perf_counter()
        try:
            candidate = request.candidate
            made = candidate.elsewhere != ""
            artifact = take_over(candidate, request.model, job.folder) if made else backend.convert(job)
        except _NeedsOnnx as need:
            return p.Converted(needs_batch=need.batch, needs_opset=need.opset)
        if not isinstance(artifact, Artifact):
            raise TypeError(f"convert returned {type(artifact).__name__}, not an Artifact")
        return p.Converted(artifact=artifact, seconds=time.perf_counter() - start + forms.export_s)

    def _rank(self, request: p.Rank) -> p.Ranked:
        backend = registry.load(request.backend)
        if reason := backend.unavailable(Step.CONVERT):
            raise RuntimeError(f"layers are ranked by {backend.title}: {reason}")
        job = ConvertJob(
            candidate=Candidate(backend=request.backend, precision="int8", shape="b1"),
            model=_Forms(request.model, request.onnx),
            folder=Path(request.folder),
            batches=(1,),
            calibration=_Calibration(request.calibration, request.model.imgsz),
        )
        job.folder.mkdir(parents=True, exist_ok=True)
        try:
            return p.Ranked(recipe=cast(Ranker, backend).rank(job))
        except _NeedsOnnx as need:
            return p.Ranked(needs_batch=need.batch, needs_opset=need.opset)

    def _check(self, request: p.Check) -> p.Checked:
        backend = registry.load(request.candidate.backend)
        if not hasattr(backend, "check"):
            return p.Checked()
        job, _ = _convert_job(request)
        try:
            return p.Checked(problems=tuple(cast(Checker, backend).check(job)))
        except _NeedsOnnx as need:
            return p.Checked(needs_batch=need.batch, needs_opset=need.opset)

    def _load(self, request: p.Load) -> p.Loaded:
        _check_files(request)
        start = time.perf_counter()
        backend = registry.load(request.candidate.backend)
        device = request.device or device_for(backend, None) or "cpu"
        job = LoadJob(
            candidate=request.candidate,
            artifact=request.artifact,
            model=_Forms(request.model),
            threads=request.threads,
            device=device,
        )
        try:
            session = backend.load(job).__enter__()  # it ends with this process
        except _NeedsOnnx as need:
            raise RuntimeError("ModelForms.onnx is for convert; load has the Artifact") from need
        seconds = time.perf_counter() - start
        cv2.setNumThreads(self._threads)  # importing ultralytics sets it to none, which would slow the reference's pre
        facts = SessionFacts(device=session.device, precision=session.precision, details=dict(session.details))
        asked = request.candidate.precision
        if facts.precision != asked:
            raise RuntimeError(f"asked for {asked}, but the Session computes in {facts.precision}")
        if device not in (facts.device, facts.device.partition(":")[0]):
            raise RuntimeError(f"asked for device {device}, but the Session runs on {facts.device}")
        self._session, self._model = session, request.model
        return p.Loaded(facts=facts, seconds=seconds)

    def _detect(self, request: p.Detect) -> p.Detected:
        session, model = self._ready()
        cache = self._frames(request.cache)
        if self._scorer is None:
            self._scorer = Pipeline(session, model.imgsz, 1, SCORED, time.perf_counter_ns)
        canvas = np.empty((model.imgsz, model.imgsz, 3), np.uint8)
        first_run_ns = 0
        low, high, nan = np.inf, -np.inf, set()
        for i in range(request.start, request.stop):
            cache.read_canvas(i, canvas)
            start = time.perf_counter_ns()
            outputs = self._scorer.raw(canvas)
            first_run_ns = first_run_ns or time.perf_counter_ns() - start
            head = _head(outputs, model)
            self._found.append(decode(head, SCORED))
            self._deployed.append(decode(head, DEPLOYED))
            scores_low, scores_high = float(head[4:].min()), float(head[4:].max())
            if not np.isfinite(scores_low + scores_high):
                nan.add("output 0, scores")
            if not np.isfinite(head[:4].sum()):
                nan.add("output 0, boxes")
            low, high = min(low, scores_low), max(high, scores_high)
            if self._first_boxes is None:
                self._first_boxes = head[:4].copy()
            self._boxes_vary = self._boxes_vary or not np.array_equal(head[:4], self._first_boxes)
            if request.heads is not None and i < parity.IMAGES:
                self._compare(head, Path(request.heads) / f"{i}.npy", request.is_reference)
        return p.Detected(
            first_run_ns=first_run_ns,
            score_low=low,
            score_high=high,
            nan_outputs=tuple(sorted(nan)),
            boxes_vary=self._boxes_vary,
            parity=self._compared(),
        )

    def _compare(self, head: npt.NDArray[np.float32], path: Path, is_reference: bool) -> None:
        """Keep the reference's raw output, or compare with it: a Run resumed elsewhere may have lost it.

        A Candidate with anchors of its own has no outputs to compare; its boxes are compared by agreement.
        """
        if is_reference:
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, head)
        elif path.exists() and (expected := np.load(path)).shape == head.shape and np.isfinite(head).all():
            self._parity.add(expected, head)

    def _evaluate(self, request: p.Evaluate) -> p.Evaluated:
        """Score here, not in the parent: a validation set's detections and their resampling take 100 MB and more."""
        from bakeoff.accuracy.boxes import DetectionTable  # SciPy's weight is none of a Session's peak memory
        from bakeoff.worker.scoring import score

        cache = self._frames(request.cache)
        geometries = [cache.geometry(i) for i in range(cache.index.images)]
        found, deployed = (DetectionTable.of(some) for some in (self._found, self._deployed))
        result = score(request, found, deployed, geometries)
        return msgspec.structs.replace(result, parity=self._compared())

    def _compared(self) -> Parity | None:
        """Return how the outputs so far differ from the reference's."""
        if not self._parity.images:
            return None
        return Parity(images=self._parity.images, reference=self._parity.groups())

    def _emulate(self, request: p.Emulate) -> p.Emulated:
        session, model = self._ready()
        if not hasattr(session, "emulate"):
            return p.Emulated()
        assert self._scorer is not None
        cache = self._frames(request.cache)
        canvas = np.empty((model.imgsz, model.imgsz, 3), np.uint8)
        comparison = parity.Comparison()
        emulator = Pipeline(_Emulating(session), model.imgsz, 1, SCORED, time.perf_counter_ns)
        for i in range(min(request.images, cache.index.images)):
            cache.read_canvas(i, canvas)
            got = _head(self._scorer.raw(canvas), model).copy()
            comparison.add(_head(emulator.raw(canvas), model), got)
        saturates = session.saturates() if hasattr(session, "saturates") else None
        return p.Emulated(groups=comparison.groups(), saturates=saturates)

    def _pool(self, request: p.WarmUpFor | p.Block) -> StreamPool:
        session, model = self._ready()
        key = str(request.workload)
        if key not in self._pools:
            thresholds = timed(request.confidence)
            pipelines = [
                Pipeline(session, model.imgsz, request.workload.batch, thresholds, time.perf_counter_ns)
                for _ in range(request.workload.streams)
            ]
            self._pools[key] = StreamPool(pipelines, self._frames(request.cache), request.workload.batch)
        return self._pools[key]

    def _warm_up(self, request: p.WarmUpFor) -> p.Warmed:
        medians, settled = warm_up(self._pool(request))
        return p.Warmed(block_medians_ns=tuple(medians), settled=settled)

    def _block(self, request: p.Block) -> p.Timed:
        samples = self._pool(request).block(request.first_frame, request.count)
        return p.Timed(
            pre_ns=wire.Array.of(samples.pre_ns),
            run_ns=wire.Array.of(samples.run_ns),
            post_ns=wire.Array.of(samples.post_ns),
            span_ns=wire.Array.of(samples.span_ns),
            rest_ns=samples.rest_ns,
        )

    def _load_test(self, request: p.ServeCameras | p.Sustain) -> p.ServedCameras | p.Stretch:
        if self._loads is None:
            session, model = self._ready()
            self._loads = Loads(session, model.imgsz, self._frames(request.cache), request.confidence)
        return self._loads.answer(request)

    def _open_sources(self, request: p.OpenSources) -> None:
        from bakeoff.worker.predictions import Predictions  # its weight is none of a Session's peak memory

        session, model = self._ready()
        self._predictions = Predictions(session, model, request)

    def _next_frame(self, _: p.NextFrame) -> p.Predicted:
        answer: p.Predicted = self._predictions.next()
        return answer

    def _ready(self) -> tuple[Session, Model]:
        assert self._session is not None
        assert self._model is not None
        return self._session, self._model

    def _frames(self, folder: str) -> FrameCache:
        if self._cache is None:
            self._cache = FrameCache(Path(folder))
        return self._cache


def _convert_job(request: p.Convert) -> tuple[ConvertJob, _Forms]:
    forms, calibration = _Forms(request.model, request.onnx), request.calibration
    folder = Path(request.folder)
    folder.mkdir(parents=True, exist_ok=True)
    job = ConvertJob(
        candidate=request.candidate,
        model=forms,
        folder=folder,
        batches=request.batches,
        calibration=None if calibration is None else _Calibration(calibration, request.model.imgsz),
        recipe=request.recipe,
    )
    return job, forms


def _write_script(request: p.WriteScript) -> bool:
    backend = registry.load(request.candidate.backend)
    if not hasattr(backend, "script"):
        return False
    script = cast(Scripted, backend).script(request.candidate, request.artifact)
    text = deploy.predict_py(script, request.candidate, request.model, request.confidence)
    Path(request.path).write_text(text, encoding="utf-8")
    return True


def _check_files(request: p.Load) -> None:
    """Refuse an Artifact whose files are gone or were cut short since they were made."""
    folder = Path(request.artifact.folder)
    for file in request.artifact.files:
        path = folder / file.path
        if not path.exists():
            raise RuntimeError(f"artifact file {path} is gone")
        if path.stat().st_size != file.size_bytes:
            raise RuntimeError(f"artifact file {path} has {path.stat().st_size} bytes, not {file.size_bytes}")


def _head(outputs: Any, model: Model) -> npt.NDArray[np.float32]:
    """Return the first image's head output (4 + classes, anchors), after checking that it is one."""
    channels = 4 + len(model.class_names)
    first = np.asarray(outputs[0]) if len(outputs) else None
    if first is None or first.ndim != 3 or first.shape[1] != channels or first.dtype != np.float32:
        got = "nothing" if first is None else f"{first.dtype} {list(first.shape)}"
        raise RuntimeError(f"output 0 is {got}; expected float32 [1, {channels}, anchors]")
    return np.asarray(first[0])
