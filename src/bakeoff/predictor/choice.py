"""What `bakeoff predict` predicts with: a Run's winner, an Artifact of ours, or one made elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bakeoff import host, registry
from bakeoff.data.images import content_hash
from bakeoff.errors import InputError, StoreError, nearest, one_line
from bakeoff.records import Artifact, Candidate, Model, RunRecord, SavedArtifact, Settings, Trial
from bakeoff.steps import adopt
from bakeoff.steps.scripts import SAVED
from bakeoff.store import RESULTS, RunFolder
from bakeoff.worker import protocol as p
from bakeoff.worker.parent import Worker


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A Candidate with its Artifact, and how to load it; the Artifact's folder is absolute."""

    candidate: Candidate
    artifact: Artifact
    model: Model
    confidence: float
    threads: int
    device: str | None  # `None`: the one that its backend is made for
    notes: tuple[str, ...] = ()  # worth saying


def saved(path: Path, only: str | None) -> Choice | None:
    """Return what a Run's folder or an Artifact's tells to predict with; `None`: the path is neither.

    Args:
        path: of the folder.
        only: a pattern that takes one Candidate of a Run.

    Raises:
        InputError: nothing there can predict, or the pattern takes no Candidate or several.
        StoreError: the folder can't be read.
    """
    if (path / RESULTS).is_file():
        return _of_run(path, RunFolder(path).load(), only)
    if not (path / SAVED).is_file():
        return None
    if only is not None:
        raise InputError(f"{path} is one Artifact, not a Run: leave --only out")
    try:
        found = msgspec.json.decode((path / SAVED).read_bytes(), type=SavedArtifact)
    except OSError as error:
        raise StoreError(f"{path / SAVED} cannot be read: {error.strerror or error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreError(
            f"{path / SAVED} does not tell what predicting needs ({one_line(error, 120)}); convert again with this "
            "bakeoff, or name the file itself"
        ) from error
    return _choice(found.candidate, found, path, found.model, confidence=found.confidence)


def _of_run(path: Path, run: RunRecord, only: str | None) -> Choice:
    trial, notes = _trial(path, run, only)
    if trial.status != "ok" or trial.artifact is None:
        reason = trial.reason or "it was not converted"
        raise InputError(f"{trial.candidate.key} of {path} cannot predict: {trial.status}: {one_line(reason, 200)}")
    device = next((one.device for one in run.backends if one.name == trial.candidate.backend), None)
    return _choice(
        trial.candidate,
        trial.artifact,
        path / trial.artifact.folder,
        run.model,
        confidence=run.settings.timed_confidence,
        threads=run.settings.threads,
        device=device or run.settings.device,
        notes=notes,
    )


def _trial(path: Path, run: RunRecord, only: str | None) -> tuple[Trial, tuple[str, ...]]:
    """Return the Trial that is asked for: else the recommended one, else the reference's, and say so."""
    if run.imported is not None:
        raise InputError(f"{path} holds somebody else's figures ({run.imported}) and no Artifact to predict with")
    if only is not None:
        found = [trial for trial in run.trials if trial.candidate.key == only]
        found = found or [trial for trial in run.trials if trial.candidate.matches(only)]
        keys = [trial.candidate.key for trial in run.trials]
        if not found:
            raise InputError(f"no Candidate {only!r} in {path}{nearest(only, keys)} it has {', '.join(keys)}")
        if len(found) > 1:
            several = ", ".join(trial.candidate.key for trial in found)
            raise InputError(f"--only {only!r} takes {len(found)} Candidates of {path}; name one: {several}")
        return found[0], ()
    for verdict in run.verdicts:
        if verdict.verdict == "recommended":
            return run.trial(verdict.key), ()
    if not run.trials:
        raise InputError(f"{path} has no Candidate yet; let the Run finish with --resume")
    note = f"no Candidate of {path} is recommended: predicting with its reference, {run.reference}"
    return run.trial(run.reference), (note,)


def _choice(
    candidate: Candidate,
    artifact: Artifact,
    folder: Path,
    model: Model,
    *,
    confidence: float,
    threads: int | None = None,
    device: str | None = None,
    notes: tuple[str, ...] = (),
) -> Choice:
    """Return what is in a folder, after making sure that it is what was measured.

    A checkpoint's Artifact is the Model's own file, which may have been moved or be of another machine.
    """
    if not candidate.takes(1):
        raise InputError(f"{candidate.key} takes no single frame; name another Candidate")
    _check_files(artifact, folder)
    own = next((folder / file.path for file in artifact.files if file.sha256 == model.sha256), None)
    plain = Artifact(folder=str(folder.absolute()), files=artifact.files, batches=artifact.batches, how=artifact.how)
    return Choice(
        candidate=candidate,
        artifact=plain,
        model=model if own is None else msgspec.structs.replace(model, path=str(own.absolute())),
        confidence=confidence,
        threads=candidate.threads or threads or host.usable_cores(),
        device=device,
        notes=notes,
    )


def _check_files(artifact: Artifact, folder: Path) -> None:
    """Refuse files other than those that were measured."""
    for file in artifact.files:
        path = folder / file.path
        try:
            same = content_hash(path) == file.sha256
        except OSError as error:
            raise InputError(f"artifact file {path} cannot be read: {error.strerror or error}") from error
        if not same:
            raise InputError(
                f"artifact file {path} is not the one that was made: its SHA-256 is another; convert again, "
                "or name the file itself"
            )


def made_elsewhere(
    worker: Worker,
    path: Path,
    folder: Path,
    *,
    only: str | None,
    imgsz: int | None,
    class_names: Sequence[str],
    threads: int,
) -> Choice:
    """Return an Artifact made elsewhere, copied into `folder`, as the backend that takes it sees it.

    Raises:
        InputError: it is missing, broken, of no known kind, or does not tell its classes or imgsz.
        ChildError: the child died of it.
    """
    adopt.check_path(path)
    answers: dict[str, p.Adoption] = {}
    for backend in registry.names():
        request = p.Adopt(
            backend=backend,
            path=str(path),
            name=adopt.name_of(str(path)),
            model=None,
            host=host.describe(),
            threads=threads,
            imgsz=imgsz,
            class_names=tuple(class_names),
        )
        try:
            answers[backend] = worker.ask(request, p.Adoption)
        except InputError:  # the backend cannot be imported: it takes nothing
            continue
    adoption = _adoption(path, answers, only)
    assert adoption.model is not None
    candidate = adoption.candidates[0]
    request_copy = p.Convert(
        candidate=candidate, model=adoption.model, folder=str(folder.absolute()), batches=(1,), onnx=()
    )
    artifact = worker.ask(request_copy, p.Converted).artifact
    assert artifact is not None
    return Choice(
        candidate=candidate,
        artifact=artifact,
        model=adoption.model,
        confidence=Settings(model="").timed_confidence,
        threads=threads,
        device=None,
    )


def _adoption(path: Path, answers: Mapping[str, p.Adoption], only: str | None) -> p.Adoption:
    """Return what the first backend makes of an Artifact made elsewhere, of those that `only` leaves."""
    taken = [one for one in answers.values() if one.candidates and (only is None or one.candidates[0].matches(only))]
    if taken:
        return taken[0]
    if others := [one.candidates[0].key for one in answers.values() if one.candidates]:
        raise InputError(f"artifact {path} is {', '.join(others)} here, which --only {only!r} does not take")
    if refused := [one.refusal for one in answers.values() if one.refusal is not None]:
        raise InputError("; ".join(refused))
    if path.is_dir():
        raise InputError(f"{path} is neither a Run's folder ({RESULTS}) nor an Artifact's ({SAVED}, or one .xml)")
    kinds = dict.fromkeys(one.takes for one in answers.values() if one.takes is not None)
    raise InputError(f"artifact {path} is of no kind that a backend here takes: {', '.join(kinds)}")
