"""What stands beside an Artifact and is no part of it: `artifact.json`, and a `predict.py` that needs no bakeoff."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bakeoff.errors import InputError
from bakeoff.records import Artifact, Candidate, Model, SavedArtifact
from bakeoff.steps.context import Context
from bakeoff.worker import protocol as p
from bakeoff.worker.parent import ChildError, Worker

SAVED, SCRIPT = "artifact.json", "predict.py"


def save_all(context: Context) -> None:
    """Write both beside each Artifact of a Run. One that can't be scripted is named, and the others go on."""
    trials = [trial for trial in context.run.trials if trial.status in ("ok", "built") and trial.artifact is not None]
    if not trials:
        return
    with context.worker("scripts") as worker:
        for trial in trials:
            assert trial.artifact is not None
            folder = context.folder.path / trial.artifact.folder
            try:
                save(
                    worker,
                    folder,
                    trial.candidate,
                    trial.artifact,
                    context.run.model,
                    context.settings.timed_confidence,
                    own=folder.name == trial.candidate.slug,
                )
            except ChildError as error:
                context.observer.say(f"{trial.candidate.key} gets no {SCRIPT}: {error.cause} (log: {error.log})")
                if error.kind != "error":  # the child is gone
                    return


def save(
    worker: Worker,
    folder: Path,
    candidate: Candidate,
    artifact: Artifact,
    model: Model,
    confidence: float,
    *,
    own: bool = True,
) -> Path | None:
    """Write both into an Artifact's folder, and return the script's path; `None`: its backend offers none.

    Args:
        worker: a child to ask the backend in.
        folder: of the Artifact.
        candidate: that it is of.
        artifact: its files.
        model: that it was made of.
        confidence: that Detections must exceed.
        own: whether it is this Candidate's alone; settings of loading that share it get a `predict-t2.py`.

    Raises:
        ChildError: the script could not be made.
    """
    name = SCRIPT if own else SCRIPT.replace(".", f"-{'-'.join(candidate.tuning)}.")
    if own:
        whole = SavedArtifact(
            folder=artifact.folder,
            files=artifact.files,
            batches=artifact.batches,
            how=artifact.how,
            candidate=candidate,
            model=model,
            confidence=confidence,
        )
        (folder / SAVED).write_bytes(msgspec.json.format(msgspec.json.encode(whole), indent=1))
    request = p.WriteScript(
        candidate=candidate,
        artifact=msgspec.structs.replace(artifact, folder=str(folder.absolute())),
        model=model,
        confidence=confidence,
        path=str((folder / name).absolute()),
    )
    try:
        return folder / name if worker.ask(request, bool) else None
    except InputError as error:
        raise ChildError("error", str(error), worker.log) from error
