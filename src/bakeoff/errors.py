"""The few kinds of error that bakeoff raises on purpose; only `bakeoff.cli` catches them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BakeoffError(Exception):
    """Something the user can mend: one line that says what happened, what was given and what to do."""

    exit_code = 2


class InputError(BakeoffError):
    """A bad argument, file or dataset."""


class StoreError(BakeoffError):
    """A Run's folder that can't be read, written or used as asked."""


class WorkerError(BakeoffError):
    """A child process that could not do what it was asked; `failure` carries the whole story where there is one."""

    exit_code = 1

    def __init__(self, message: str, failure: object | None = None) -> None:
        super().__init__(message)
        self.failure = failure


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the known name closest to `name`, or `;`, to be followed by the cure."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ";"


def one_line(error: BaseException | str, limit: int = 300) -> str:
    """Return an error's text as a single printable line of at most `limit` characters."""
    text = error if isinstance(error, str) else (str(error) or type(error).__name__)
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
