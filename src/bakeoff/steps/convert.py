"""Step 4: each Candidate converted in a child of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from bakeoff.data import calibration
from bakeoff.errors import InputError
from bakeoff.records import Artifact, Candidate, Recipe, RunRecord, Settings, Trial
from bakeoff.steps import progress
from bakeoff.steps.context import Context
from bakeoff.steps.prepare import Inputs, ModelReader
from bakeoff.worker import protocol as p
from bakeoff.worker.parent import ChildError, Worker

Answer = TypeVar("Answer", p.Converted, p.Ranked, p.Checked)


def convert_all(context: Context, inputs: Inputs) -> None:
    """Convert what is not converted yet; a Trial's Failure ends that Trial only."""
    todo = [
        trial
        for trial in context.run.trials
        if trial.status in ("ok", "built")
        and trial.artifact is None
        and not trial.candidate.from_recipe  # it needs a Recipe first: `repair` converts it
        and plain_of(context.run, trial.candidate) is None
    ]
    if todo:
        context.observer.stage("converting", len(todo))
    for trial in todo:
        key = trial.candidate.key
        context.observer.advance(0, key)
        try:
            artifact, seconds = convert_into(context, inputs, trial.candidate, context.folder.artifacts)
            copied = bool(trial.candidate.elsewhere)  # which is no conversion, so its time is not one's
            context.change_trial(key, artifact=artifact, convert_s=None if copied else seconds)
        except ChildError as error:
            context.fail(key, "convert", error)
        context.observer.advance()
    share_all(context)


def plain_of(run: RunRecord, candidate: Candidate) -> Trial | None:
    """Return the Trial of the plain form of a Candidate with settings of loading, if the Run has one.

    Where it has none (`--only` asked for the settings alone), the Candidate is converted like any other.
    """
    if not candidate.tuning:
        return None
    return next((trial for trial in run.trials if trial.candidate.key == candidate.plain.key), None)


def share_all(context: Context) -> None:
    """Give Trials with settings of loading their plain form's Artifact and what it cost, or its Failure.

    A mixed one's may still change: it is shared once its repair is over.
    """
    for trial in context.run.trials:
        plain = plain_of(context.run, trial.candidate)
        if plain is None or trial.artifact is not None or trial.status not in ("ok", "built"):
            continue
        mixed = plain.candidate.from_recipe
        if plain.artifact is not None and (plain.verified or not mixed):
            context.change_trial(
                trial.candidate.key, artifact=plain.artifact, convert_s=plain.convert_s, repair=plain.repair
            )
        elif plain.failure is not None:
            cause = f"its Artifact is that of {plain.candidate.key}, which failed: {plain.failure.cause}"
            context.change_trial(trial.candidate.key, failure=msgspec.structs.replace(plain.failure, cause=cause))


def convert_into(
    context: Context,
    inputs: Inputs,
    candidate: Candidate,
    parent: Path,
    images: p.CalibrationSpec | None = None,
    recipe: Recipe | None = None,
) -> tuple[Artifact, float]:
    """Convert one Candidate in a child of its own, into a folder below `parent`, which lies in the Run's folder.

    Raises:
        ChildError: it failed.
    """
    with context.worker(candidate.key) as worker:
        converted = convert(worker, candidate, context, inputs, parent / candidate.slug, images, recipe)
    assert converted.artifact is not None
    folder = (parent / candidate.slug).relative_to(context.folder.path).as_posix()  # a Run's folder may move
    return msgspec.structs.replace(converted.artifact, folder=folder), converted.seconds


def convert(
    worker: Worker,
    candidate: Candidate,
    context: Context,
    inputs: Inputs,
    folder: Path,
    images: p.CalibrationSpec | None = None,
    recipe: Recipe | None = None,
) -> p.Converted:
    """Convert one Candidate into `folder`, exporting the ONNX forms that it asks for on the way.

    Args:
        worker: the child that converts.
        candidate: what to make.
        context: the Run.
        inputs: of the Run.
        folder: emptied first.
        images: others to calibrate with than the Run's own draw.
        recipe: of a mixed Candidate.

    Raises:
        ChildError: it failed.
    """

    def request(files: tuple[p.OnnxFile, ...]) -> p.Convert:
        shutil.rmtree(folder, ignore_errors=True)
        return p.Convert(
            candidate=candidate,
            model=context.run.model,
            folder=str(folder.absolute()),
            batches=batches(context.settings),
            onnx=files,
            calibration=images or calibration_for(context, inputs, candidate),
            recipe=recipe,
        )

    with progress.shown(
        worker.log,
        lambda text: context.observer.advance(0, f"{candidate.key}: {text}"),
        idle=lambda: context.observer.advance(0),
    ):
        return ask_with_forms(worker, request, p.Converted, inputs.reader)


def ask_with_forms(
    worker: Worker,
    request: Callable[[tuple[p.OnnxFile, ...]], p.Convert | p.Rank],
    answer_type: type[Answer],
    reader: ModelReader,
) -> Answer:
    """Ask a child for what starts from ONNX forms of the Model, and export those that it turns out to need.

    Raises:
        ChildError: the child, or an export, failed.
    """
    while True:
        try:
            answer = worker.ask(request(reader.files), answer_type)
        except InputError as error:
            raise ChildError("error", str(error), worker.log) from error
        if answer.needs_opset is None:
            return answer
        reader.onnx(answer.needs_batch, answer.needs_opset)


def batches(settings: Settings) -> tuple[int, ...]:
    """Return the batch sizes of the Workloads, swept ones too, and 1, which accuracy is measured with."""
    return tuple(sorted({1, *(workload.batch for workload in (*settings.workloads, *settings.sweep))}))


def calibration_for(context: Context, inputs: Inputs, candidate: Candidate) -> p.CalibrationSpec | None:
    """Return the Run's own draw of calibration images for a Candidate that gets some."""
    return calibration_spec(context, inputs) if candidate.sees_images and inputs.calibration_pool else None


def calibration_spec(context: Context, inputs: Inputs, seed: int | None = None) -> p.CalibrationSpec:
    """Return the Run's own draw of calibration images, or that of another seed."""
    settings = context.settings
    own = settings.seed if seed is None else seed
    drawn = calibration.draw(inputs.calibration_pool, settings.calibration_images, own)
    return p.CalibrationSpec(
        images=tuple(str(path.absolute()) for path in drawn), preset=settings.int8_preset, seed=own
    )
