"""Steps 5 and 6: load each Artifact in a child of its own, and measure its accuracy on the cached images."""

from __future__ import annotations

import msgspec
import numpy as np

from bakeoff.accuracy import bootstrap
from bakeoff.accuracy.boxes import DetectionTable
from bakeoff.accuracy.evaluate import Evaluation, evaluate
from bakeoff.errors import InputError
from bakeoff.records import Delta, Trial
from bakeoff.steps.context import Context
from bakeoff.steps.prepare import Inputs
from bakeoff.worker import protocol as p
from bakeoff.worker.parent import ChildError, Worker

CHUNK = 16  # images a request


def verify_all(context: Context, inputs: Inputs) -> None:
    """Verify what is not verified yet, the reference first: without it there is nothing to compare with."""
    todo = [trial for trial in context.run.trials if trial.status == "ok" and trial.accuracy is None]
    if todo:
        context.observer.stage("verifying", len(todo) * len(inputs.validation))
    resampler = _Resampler(context, inputs)
    for trial in todo:
        key = trial.candidate.key
        context.observer.advance(0, key)
        try:
            with context.worker(key) as worker:
                _verify(context, inputs, trial, worker, resampler)
        except ChildError as error:
            context.fail(key, getattr(error, "step", "verify"), error)
            if key == context.run.reference:
                return


def load(context: Context, trial: Trial, worker: Worker) -> p.Loaded:
    """Load a Trial's Artifact in a child.

    Raises:
        ChildError: with `step` set to `load`.
    """
    assert trial.artifact is not None
    request = p.Load(
        candidate=trial.candidate,
        artifact=msgspec.structs.replace(
            trial.artifact, folder=str((context.folder.path / trial.artifact.folder).absolute())
        ),
        model=context.run.model,
        threads=context.threads,
        device=context.settings.device,
    )
    try:
        try:
            return worker.ask(request, p.Loaded)
        except InputError as error:
            raise ChildError("error", str(error), worker.log) from error
    except ChildError as error:
        error.step = "load"  # type: ignore[attr-defined]
        raise


def _verify(context: Context, inputs: Inputs, trial: Trial, worker: Worker, resampler: _Resampler) -> None:
    key = trial.candidate.key
    loaded = load(context, trial, worker)
    chunks: list[p.Detected] = []
    images = len(inputs.validation)
    for start in range(0, images, CHUNK):
        stop = min(start + CHUNK, images)
        chunks.append(worker.ask(p.Detect(cache=str(context.frames.absolute()), start=start, stop=stop), p.Detected))
        context.observer.advance(stop - start, key)
    check_health(chunks, worker)
    found = table(chunks)
    context.folder.put(
        f"accuracy-{trial.candidate.slug}",
        {f"accuracy/{key}/{name}": getattr(found, name) for name in ("image", "xyxy", "scores", "classes")},
    )
    assert inputs.truth is not None
    evaluation = evaluate(inputs.truth, found, inputs.geometries)
    deltas = {}
    if key == context.run.reference:
        resampler.take_reference(evaluation)
    else:
        deltas = resampler.deltas(evaluation)
    context.change_trial(
        key,
        session=loaded.facts,
        load_s=loaded.seconds,
        first_run_ms=chunks[0].first_run_ns * 1e-6,
        peak_memory_bytes=worker.peak_memory_bytes,
        accuracy=evaluation.accuracy,
        **deltas,
    )


def check_health(chunks: list[p.Detected], worker: Worker) -> None:
    """Refuse outputs that are dead on every image, or not numbers.

    Raises:
        ChildError: naming the output.
    """
    broken = sorted({name for chunk in chunks for name in chunk.nan_outputs})
    if broken:
        raise ChildError("output", f"{', '.join(broken)}: NaN or infinite values", worker.log)
    low, high = min(chunk.score_low for chunk in chunks), max(chunk.score_high for chunk in chunks)
    if low == high:
        raise ChildError(
            "output",
            f"output 0, scores: every class score is {low:g} on all images; the conversion lost them",
            worker.log,
        )


def table(chunks: list[p.Detected]) -> DetectionTable:
    """Join the chunks' detections."""
    counts = np.concatenate([chunk.counts.get() for chunk in chunks])
    return DetectionTable(
        image=np.repeat(np.arange(len(counts), dtype=np.int32), counts),
        xyxy=np.concatenate([chunk.xyxy.get() for chunk in chunks]),
        scores=np.concatenate([chunk.scores.get() for chunk in chunks]),
        classes=np.concatenate([chunk.classes.get() for chunk in chunks]),
    )


class _Resampler:
    """The resampled figures of the reference, drawn once and shared by every comparison."""

    def __init__(self, context: Context, inputs: Inputs) -> None:
        self._context, self._inputs = context, inputs
        self._reference: Evaluation | None = None
        self._samples: bootstrap.Resampled | None = None

    def take_reference(self, evaluation: Evaluation) -> None:
        self._reference = evaluation

    def deltas(self, evaluation: Evaluation) -> dict[str, Delta]:
        """Return a Candidate's differences to the reference, by their names in its Trial."""
        reference = self._evaluate_reference()
        if self._samples is None:
            self._samples = self._resample(reference)
        ours, theirs = self._resample(evaluation), self._samples
        return {
            f"{name}_delta": bootstrap.delta(
                getattr(evaluation.accuracy, field) - getattr(reference.accuracy, field),
                getattr(theirs, field),
                getattr(ours, field),
            )
            for name, field in (("map", "map50_95"), ("precision", "precision"), ("recall", "recall"))
        }

    def _resample(self, evaluation: Evaluation) -> bootstrap.Resampled:
        assert self._inputs.truth is not None
        weights = bootstrap.image_weights(self._inputs.truth.images, self._context.settings.seed)
        return bootstrap.resample(self._inputs.truth, evaluation, weights)

    def _evaluate_reference(self) -> Evaluation:
        if self._reference is None:  # a resumed Run: its detections are in the samples
            prefix = f"accuracy/{self._context.run.reference}/"
            arrays = self._context.folder.samples(prefix)
            found = DetectionTable(**{name: arrays[prefix + name] for name in ("image", "xyxy", "scores", "classes")})
            assert self._inputs.truth is not None
            self._reference = evaluate(self._inputs.truth, found, self._inputs.geometries)
        return self._reference
