"""Steps 5 and 6: load each Artifact in a child of its own, and measure its accuracy on the cached images."""

from __future__ import annotations

from typing import Any

import msgspec

from bakeoff.accuracy import parity
from bakeoff.data import images
from bakeoff.errors import InputError, StoreError
from bakeoff.records import Agreement, Parity, Trial
from bakeoff.steps.context import Context
from bakeoff.steps.convert import plain_of
from bakeoff.steps.prepare import Inputs
from bakeoff.worker import protocol as p
from bakeoff.worker.parent import ChildError, Worker

CHUNK = 16  # images a request
KEPT = "images"  # folder of copies of images that differ most


def verify_all(context: Context, inputs: Inputs) -> None:
    """Verify what is not verified yet, the reference first: without it there is nothing to compare with."""
    todo = [
        trial
        for trial in context.run.trials
        if trial.status == "ok" and not trial.verified and not _left_to_repair(context, trial)
    ]
    if todo:
        context.observer.stage("verifying", len(todo) * len(inputs.validation))
    for trial in todo:
        key = trial.candidate.key
        context.observer.advance(0, key)
        try:
            _verify(context, inputs, trial)
        except ChildError as error:
            context.fail(key, error.step or "verify", error)
            if key == context.run.reference:
                return


def _left_to_repair(context: Context, trial: Trial) -> bool:
    """Whether it is a mixed one that is still to be converted; with settings of loading, it gets another's Artifact."""
    shared = plain_of(context.run, trial.candidate) is not None and trial.artifact is not None
    return trial.candidate.from_recipe and not shared


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
        threads=context.threads_of(trial.candidate),
        device=context.device_of(trial.candidate),
    )
    try:
        try:
            return worker.ask(request, p.Loaded)
        except InputError as error:
            raise ChildError("error", str(error), worker.log) from error
    except ChildError as error:
        error.step = "load"
        raise


def load_figures(loaded: p.Loaded, ready_s: float, first: p.Detected, worker: Worker) -> dict[str, Any]:
    """Return what a Trial keeps of loading and the first prediction, by its names.

    Args:
        loaded: what the child says of loading.
        ready_s: the child's age when it had loaded.
        first: its first prediction.
        worker: the child; its peak memory counts up to now.
    """
    return {
        "session": loaded.facts,
        "load_s": loaded.seconds,
        "first_run_ms": first.first_run_ns * 1e-6,
        "cold_start_s": ready_s + first.first_run_ns * 1e-9,
        "peak_memory_bytes": worker.peak_memory_bytes,
    }


def measure(context: Context, inputs: Inputs, trial: Trial, worker: Worker, *, keep: bool = True) -> dict[str, Any]:
    """Load a Trial's Artifact in a child and measure its accuracy; return what the Trial keeps, by its names.

    Without `keep` the detections are not kept in the Run's samples.

    Raises:
        ChildError: loading or predicting failed, or the outputs are dead.
    """
    key, settings, run = trial.candidate.key, context.settings, context.run
    is_reference = key == run.reference
    loaded = load(context, trial, worker)
    ready_s = worker.age_s
    cache = str(context.frames.absolute())
    heads = str((context.folder.work / "heads").absolute())
    chunks: list[p.Detected] = []
    count = len(inputs.validation)
    for start in range(0, count, CHUNK):
        stop = min(start + CHUNK, count)
        ask = p.Detect(cache=cache, start=start, stop=stop, heads=heads, is_reference=is_reference)
        chunks.append(worker.ask(ask, p.Detected))
        context.observer.advance(stop - start, key)
    check_health(chunks, worker)
    constant = ("boxes",) if count > 1 and not chunks[-1].boxes_vary else ()
    own = run.trial(run.reference).parity
    if constant and not is_reference and not (own is not None and own.constant):
        cause = f"output 0, boxes: the same on all {count} images, unlike the reference's; the conversion lost them"
        raise ChildError("output", cause, worker.log)
    figures = load_figures(loaded, ready_s, chunks[0], worker)  # before evaluation, whose memory is no part of it
    reference = run.trial(run.reference)
    request = p.Evaluate(
        cache=cache,
        run=str(context.folder.path.absolute()),
        candidate=trial.candidate,
        class_names=run.model.class_names,
        seed=settings.seed,
        labels=settings.labels,
        reference=None if is_reference else run.reference,
        reference_accuracy=None if is_reference else reference.accuracy,
        confidence=settings.conf,
        keep=keep,
    )
    try:
        evaluated = worker.ask(request, p.Evaluated)
    except InputError as error:  # a disk that is full concerns them all
        raise StoreError(str(error)) from error
    return {
        **msgspec.structs.asdict(evaluated),
        "parity": msgspec.structs.replace(evaluated.parity or Parity(images=0), constant=constant),
        **figures,
        "verified": True,
    }


def _verify(context: Context, inputs: Inputs, trial: Trial) -> None:
    """Measure one Trial, keep it, and then hold a quantised Session against its own graph."""
    key = trial.candidate.key
    with context.worker(key) as worker:
        fields = measure(context, inputs, trial, worker)
        fields["agreement"] = with_images(fields["agreement"], context, inputs)
        context.change_trial(key, **{**fields, "verified": False})  # not before the last check has passed
        if trial.candidate.quantised:
            check_emulation(context, key, worker)
        context.change_trial(key, verified=True)


def check_emulation(context: Context, key: str, worker: Worker) -> None:
    """Refuse a Session that computes something else than its graph says.

    Raises:
        ChildError: naming what it does, and the cure.
    """
    request = p.Emulate(cache=str(context.frames.absolute()), images=parity.EMULATED)
    answer = worker.ask(request, p.Emulated)
    known = context.run.trial(key).parity or Parity(images=0)
    context.change_trial(key, parity=msgspec.structs.replace(known, emulation=answer.groups))
    if (cause := parity.contradiction(answer.groups, answer.saturates)) is not None:
        raise ChildError("output", cause, worker.log)


def with_images(agreement: Agreement | None, context: Context, inputs: Inputs) -> Agreement | None:
    """Keep a small copy of each image that differs most, once for all Candidates."""
    if agreement is None:
        return None
    folder = context.folder.path / KEPT
    worst = []
    for one in agreement.worst:
        name = f"{one.index}.jpg"
        if not (folder / name).exists():
            try:
                folder.mkdir(exist_ok=True)
                images.save_small(inputs.validation[one.index], folder / name)
            except OSError as error:
                raise StoreError(f"{folder / name} cannot be written: {error.strerror or error}") from error
        worst.append(msgspec.structs.replace(one, kept=f"{KEPT}/{name}"))
    return msgspec.structs.replace(agreement, worst=tuple(worst))


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
