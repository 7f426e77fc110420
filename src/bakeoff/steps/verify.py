"""Steps 5 and 6: load each Artifact in a child of its own, and measure its accuracy on the cached images."""

from __future__ import annotations

import msgspec

from bakeoff.accuracy import bootstrap
from bakeoff.accuracy.boxes import DetectionTable
from bakeoff.accuracy.evaluate import evaluate
from bakeoff.errors import InputError, StoreError
from bakeoff.records import Delta, Trial
from bakeoff.steps.context import Context
from bakeoff.steps.prepare import Inputs
from bakeoff.worker import protocol as p
from bakeoff.worker.parent import ChildError, Worker

CHUNK = 16  # images a request
METRICS = {"map": "map50_95", "precision": "precision", "recall": "recall"}  # a Trial's deltas, and of what


def verify_all(context: Context, inputs: Inputs) -> None:
    """Verify what is not verified yet, the reference first: without it there is nothing to compare with."""
    todo = [trial for trial in context.run.trials if trial.status == "ok" and trial.accuracy is None]
    if todo:
        context.observer.stage("verifying", len(todo) * len(inputs.validation))
    reference = _Reference(context, inputs)
    for trial in todo:
        key = trial.candidate.key
        context.observer.advance(0, key)
        try:
            with context.worker(key) as worker:
                _verify(context, inputs, trial, worker, reference)
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


def _verify(context: Context, inputs: Inputs, trial: Trial, worker: Worker, reference: _Reference) -> None:
    key = trial.candidate.key
    loaded = load(context, trial, worker)
    cache = str(context.frames.absolute())
    chunks: list[p.Detected] = []
    images = len(inputs.validation)
    for start in range(0, images, CHUNK):
        stop = min(start + CHUNK, images)
        chunks.append(worker.ask(p.Detect(cache=cache, start=start, stop=stop), p.Detected))
        context.observer.advance(stop - start, key)
    check_health(chunks, worker)
    peak_memory_bytes = worker.peak_memory_bytes  # of loading and predicting; evaluation is no part of it
    request = p.Evaluate(
        cache=cache,
        run=str(context.folder.path.absolute()),
        candidate=trial.candidate,
        class_names=context.run.model.class_names,
        seed=context.settings.seed,
    )
    try:
        evaluated = worker.ask(request, p.Evaluated)
    except InputError as error:  # a disk that is full concerns them all
        raise StoreError(str(error)) from error
    context.change_trial(
        key,
        session=loaded.facts,
        load_s=loaded.seconds,
        first_run_ms=chunks[0].first_run_ns * 1e-6,
        peak_memory_bytes=peak_memory_bytes,
        accuracy=evaluated.accuracy,
        **reference.deltas(key, evaluated),
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


class _Reference:
    """The reference's figures on every resampled image set, which all others are compared with."""

    def __init__(self, context: Context, inputs: Inputs) -> None:
        self._context, self._inputs = context, inputs
        self._samples: dict[str, bootstrap.Floats] = {}

    def deltas(self, key: str, evaluated: p.Evaluated) -> dict[str, Delta]:
        """Return a Candidate's differences to the reference, by their names in its Trial; none for itself."""
        samples = {name: getattr(evaluated, name).get() for name in METRICS.values()}
        if key == self._context.run.reference:
            self._samples = samples
            return {}
        accuracy = self._context.run.trial(self._context.run.reference).accuracy
        assert accuracy is not None
        known = self._samples = self._samples or self._resample()
        return {
            f"{name}_delta": bootstrap.delta(
                getattr(evaluated.accuracy, field) - getattr(accuracy, field), known[field], samples[field]
            )
            for name, field in METRICS.items()
        }

    def _resample(self) -> dict[str, bootstrap.Floats]:
        """Score the reference's stored detections again: a resumed Run measures nothing twice."""
        truth, run = self._inputs.truth, self._context.run
        assert truth is not None
        prefix = f"accuracy/{run.reference}/"
        arrays = self._context.folder.samples(prefix)
        found = DetectionTable(**{name.removeprefix(prefix): array for name, array in arrays.items()})
        evaluation = evaluate(truth, found, self._inputs.geometries)
        weights = bootstrap.image_weights(truth.images, self._context.settings.seed)
        resampled = bootstrap.resample(truth, evaluation, weights)
        return {name: getattr(resampled, name) for name in METRICS.values()}
