"""Step 4: each Candidate converted in a child of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from bakeoff.errors import InputError
from bakeoff.records import Candidate, Settings
from bakeoff.steps.context import Context
from bakeoff.steps.prepare import Inputs, ModelReader
from bakeoff.worker import protocol as p
from bakeoff.worker.parent import ChildError, Worker


def convert_all(context: Context, inputs: Inputs) -> None:
    """Convert what is not converted yet; a Trial's Failure ends that Trial only."""
    todo = [trial for trial in context.run.trials if trial.status in ("ok", "built") and trial.artifact is None]
    if todo:
        context.observer.stage("converting", len(todo))
    for trial in todo:
        key = trial.candidate.key
        context.observer.advance(0, key)
        try:
            with context.worker(key) as worker:
                converted = convert(
                    worker,
                    trial.candidate,
                    context,
                    inputs,
                    context.folder.artifacts / trial.candidate.slug,
                )
            assert converted.artifact is not None
            folder = f"{context.folder.artifacts.name}/{trial.candidate.slug}"  # a Run's folder may move
            artifact = msgspec.structs.replace(converted.artifact, folder=folder)
            context.change_trial(key, artifact=artifact, convert_s=converted.seconds)
        except ChildError as error:
            context.fail(key, "convert", error)
        context.observer.advance()


def convert(worker: Worker, candidate: Candidate, context: Context, inputs: Inputs, folder: Path) -> p.Converted:
    """Convert one Candidate into `folder`, exporting the ONNX forms that it asks for on the way.

    Raises:
        ChildError: it failed.
    """
    reader: ModelReader = inputs.reader
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        request = p.Convert(
            candidate=candidate,
            model=context.run.model,
            folder=str(folder.absolute()),
            batches=batches(context.settings),
            onnx=reader.files,
            calibration=_calibration(candidate, context.settings, inputs),
        )
        try:
            answer = worker.ask(request, p.Converted)
        except InputError as error:
            raise ChildError("error", str(error), worker.log) from error
        if answer.artifact is not None:
            return answer
        assert answer.needs_opset is not None
        reader.onnx(answer.needs_batch, answer.needs_opset)


def batches(settings: Settings) -> tuple[int, ...]:
    """Return the batch sizes of the Workloads, and 1, which accuracy is measured with."""
    return tuple(sorted({1, *(workload.batch for workload in settings.workloads)}))


def _calibration(candidate: Candidate, settings: Settings, inputs: Inputs) -> p.CalibrationSpec | None:
    if candidate.precision != "int8":
        return None
    return p.CalibrationSpec(
        images=tuple(str(path.absolute()) for path in inputs.calibration),
        preset=settings.int8_preset,
        seed=settings.seed,
    )
