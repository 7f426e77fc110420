"""Artifacts made elsewhere (`--artifact`): each becomes a Candidate, or is refused before anything long starts."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bakeoff import registry
from bakeoff.errors import InputError
from bakeoff.records import Candidate
from bakeoff.steps.context import Context
from bakeoff.worker import protocol as p
from bakeoff.worker.parent import ChildError

NAME_LENGTH = 40


def adopt_all(context: Context) -> list[Candidate]:
    """Return the Candidates of all Artifacts that `--artifact` names, with their settings of loading.

    Raises:
        InputError: one is missing, broken, of no known kind, or not made for the Model.
    """
    paths = tuple(dict.fromkeys(context.settings.artifacts))
    for path in paths:
        check_path(Path(path))
    found: list[Candidate] = []
    refused: dict[str, list[str]] = {path: [] for path in paths}
    kinds: list[str] = []
    if paths:
        context.observer.stage("reading artifacts", 1)
        for backend in registry.names():
            for path, adoption in zip(paths, _ask(context, backend, paths), strict=True):
                found += _unlike(adoption.candidates, found)
                refused[path] += [] if adoption.refusal is None else [adoption.refusal]
                kinds += [] if adoption.takes in (None, *kinds) else [str(adoption.takes)]
        context.observer.advance()
    for path in paths:
        if not any(candidate.elsewhere == path for candidate in found):
            unknown = f"artifact {path} is of no kind that a backend here takes: {', '.join(kinds)}"
            raise InputError("; ".join(refused[path]) or unknown)
    return found


def name_of(path: str) -> str:
    """Return the option that an Artifact's key gets, `from-NAME`, with nothing in it but what keys may hold."""
    resolved = Path(path).resolve()  # so that `.` has a name
    stem = resolved.name.removesuffix("_openvino_model") if resolved.is_dir() else resolved.stem
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    return f"from-{re.sub('[^a-z0-9+._]+', '-', plain).strip('-')[:NAME_LENGTH] or 'file'}"


def _unlike(adopted: Sequence[Candidate], others: Sequence[Candidate]) -> list[Candidate]:
    """Return one Artifact's Candidates, their names numbered where another of that name has their key already."""
    taken = {candidate.key for candidate in others}
    for number in itertools.count(1):
        suffix = f"-{number}" if number > 1 else ""
        named = [
            msgspec.structs.replace(one, options=(*one.options[:-1], f"{one.options[-1]}{suffix}")) for one in adopted
        ]
        if taken.isdisjoint(candidate.key for candidate in named):
            return named
    raise AssertionError("unreachable")


def check_path(path: Path) -> None:
    """Refuse a path that is no readable file or folder with something in it.

    Raises:
        InputError: it is not.
    """
    try:
        if not path.exists():
            raise InputError(f"artifact {path} does not exist")
        if not path.is_dir() and not path.is_file():
            raise InputError(f"artifact {path} is neither a file nor a folder")
        if path.is_file() and path.stat().st_size == 0:
            raise InputError(f"artifact {path} is empty")
    except (OSError, ValueError) as error:
        raise InputError(f"artifact {path} cannot be read: {error}") from error


def _ask(context: Context, backend: str, paths: Sequence[str]) -> list[p.Adoption]:
    """Ask one backend for each path; a file that takes the child down does so alone."""
    answers: list[p.Adoption] = []
    while len(answers) < len(paths):
        with context.worker(f"artifacts-{backend}") as worker:
            while len(answers) < len(paths):
                path = paths[len(answers)]
                request = p.Adopt(
                    backend=backend,
                    path=path,
                    name=name_of(path),
                    model=context.run.model,
                    host=context.run.host,
                    threads=context.threads,
                )
                try:
                    answers.append(worker.ask(request, p.Adoption))
                except InputError:  # the backend cannot be imported: it takes nothing, as its probe will say
                    answers.append(p.Adoption())
                except ChildError as error:
                    answers.append(p.Adoption(refusal=f"artifact {path} cannot be read: {error.cause}"))
                    worker.kill()
                    break
    return answers
