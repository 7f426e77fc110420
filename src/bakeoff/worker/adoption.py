"""The child's side of Artifacts made elsewhere: which Candidate one becomes, and its files in the Run's folder."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import msgspec

from bakeoff import registry
from bakeoff.backend import Adopter, Backend, Describer, Step, Tunable, check_candidates
from bakeoff.errors import BakeoffError, InputError, one_line
from bakeoff.records import Artifact, Candidate, Host, Model
from bakeoff.worker import protocol as p


def answer(request: p.Adopt) -> p.Adoption:
    """Return the Candidates that an Artifact made elsewhere becomes in one backend, or why it becomes none."""
    backend = registry.load(request.backend)
    if not hasattr(backend, "adopt"):
        return p.Adoption()
    adopter, path = cast(Adopter, backend), Path(request.path)
    if not adopter.takes(path):
        return p.Adoption(takes=adopter.adopts)
    try:
        if reason := backend.unavailable(Step.RUN):
            raise InputError(f"artifact {path} needs {backend.title}: {reason}")
        model = request.model or _described(backend, request)
        found = adopter.adopt(path, model)
        candidate = Candidate(
            backend=backend.name,
            precision=found.precision,
            shape=found.shape,
            options=(*found.options, request.name),
            title=backend.title,
            elsewhere=str(path),
        )
        candidates = (candidate, *tuned(backend, [candidate], request.host, request.threads))
        check_candidates(backend.name, candidates)
    except Exception as error:  # whatever a runtime says of a stranger's file
        traceback.print_exc()
        cause = f"{error}" if isinstance(error, BakeoffError) else f"artifact {path} cannot be read: {error}"
        return p.Adoption(takes=adopter.adopts, refusal=one_line(cause, 500))
    return p.Adoption(takes=adopter.adopts, candidates=candidates, model=model)


def _described(backend: Backend, request: p.Adopt) -> Model:
    if not hasattr(backend, "describe"):
        raise InputError(f"artifact {request.path} does not tell {backend.title} its classes; predict with a Run's")
    return cast(Describer, backend).describe(Path(request.path), request.imgsz, request.class_names)


def take_over(candidate: Candidate, model: Model, folder: Path) -> Artifact:
    """Copy an Artifact made elsewhere into its folder.

    Raises:
        BakeoffError: it can no longer be read.
        RuntimeError: it is another than when the Run began.
    """
    path = Path(candidate.elsewhere)
    found = cast(Adopter, registry.load(candidate.backend)).adopt(path, model)
    now = found.precision, found.shape, *found.options
    if now != (candidate.precision, candidate.shape, *candidate.options[:-1]):
        raise RuntimeError(f"artifact {path} changed since this Run began: it is {'/'.join(now)} now")
    for name, source in found.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / name)
    how = {"converter": "none: made elsewhere", "made_elsewhere": one_line(path.name), **found.how}
    return Artifact.of(folder, batches=found.batches, **how)


def tuned(backend: Backend, candidates: Sequence[Candidate], host: Host, threads: int) -> tuple[Candidate, ...]:
    """Return each Candidate with each of the settings that its backend would load it with here, on request."""
    if not hasattr(backend, "tunings"):
        return ()
    return tuple(
        msgspec.structs.replace(candidate, tuning=tuple(tuning), on_request=True)
        for candidate in candidates
        for tuning in cast(Tunable, backend).tunings(candidate, host, threads)
    )
