"""What a person at a terminal sees: a table that fills while it works, then the whole one; plain lines elsewhere."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from bakeoff.cli.fit import GAP, drawn, fit, printable
from bakeoff.errors import one_line
from bakeoff.report.summary import Column

if TYPE_CHECKING:
    from bakeoff.api import Run
    from bakeoff.steps.context import Observer

PLAIN_EVERY_S = 10.0
COLOURS = {"recommended": "bold green", "rejected": "red", "undecided": "yellow", "failed": "red", "skipped": "dim"}
WORDS_LEAST = 28  # a column of sentences that would be narrower stands beneath its row


@contextlib.contextmanager
def observer() -> Iterator[Observer]:
    """Return who shows the progress, on stderr: a table and a bar on a terminal, lines elsewhere."""
    console = Console(stderr=True, highlight=False)
    if not console.is_interactive or not sys.stderr.isatty():  # FORCE_COLOR makes no terminal of a log
        yield _Lines()
        return
    from bakeoff.cli import live

    with live.table(console) as shown:
        yield shown


class _Lines:
    """Plain lines: each stage, and how far it is every ten seconds."""

    def __init__(self) -> None:
        self._name, self._total, self._done = "", 0, 0
        self._started = self._told = time.monotonic()

    def stage(self, name: str, total: int) -> None:
        self._name, self._total, self._done = name, total, 0
        self._started = self._told = time.monotonic()
        self.say(f"{name}: {total} to do" if total > 1 else name)

    def advance(self, parts: int = 1, what: str = "") -> None:
        self._done += parts
        now = time.monotonic()
        if now - self._told < PLAIN_EVERY_S or not self._done or not (parts or what):
            return
        self._told = now
        left = (now - self._started) / self._done * (self._total - self._done)
        self.say(f"{self._name}: {self._done} of {self._total}, about {left:.0f} s left {what}".rstrip())

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


class Plain:
    """An Observer that prints what is worth keeping, as plain lines, and no progress."""

    def stage(self, name: str, total: int) -> None:
        """See `Observer.stage`."""

    def advance(self, parts: int = 1, what: str = "") -> None:
        """See `Observer.advance`."""

    def say(self, text: str) -> None:
        """See `Observer.say`."""
        print(one_line(text, 1000), file=sys.stderr, flush=True)


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 1, ranks: Mapping[str, int] | None = None
) -> None:
    """Print a table: drawn on a terminal, tab-separated elsewhere.

    Args:
        head: names of the columns.
        rows: their cells.
        words: how many of the last columns are sentences; where there is no room beside, they stand beneath their row.
        ranks: columns that may be left out on a narrow terminal, the lowest rank first.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        for row in (head, *rows):
            click.echo("\t".join(row))
        return
    cells = list(zip(*rows, strict=True)) if rows else [()] * len(head)
    columns = [
        Column(head=(name,), forms=(some,), ranks=(ranks[name],) if ranks and name in ranks else (), figures=False)
        for name, some in zip(head[: len(head) - words], cells, strict=False)
    ]
    sentences = list(zip(head, cells, strict=True))[len(head) - words :]
    fitted = fit(columns, console.width - words * (WORDS_LEAST + GAP))
    taken = sum(column.width + GAP for column in fitted)
    if console.width - taken >= words * (WORDS_LEAST + GAP) - GAP:
        whole = drawn(fitted, [""] * len(rows), folded=True, words=sentences)
        console.print(whole)
        return
    fitted = fit(columns, console.width)
    console.print(drawn(fitted, [], folded=True))
    for i in range(len(rows)):
        console.print(drawn(fitted, [""], folded=True, first=i, heading=False))
        for _, some in sentences:
            if some[i]:
                console.print(Padding(Text(printable(some[i])), (0, 0, 0, 4)))


def show(run: Run, *, written: bool = True) -> None:
    """Print a Run's table, what failed, the chances, the answer, and where the rest is, if it was `written`."""
    from bakeoff.report.summary import standing

    columns, rows = run.summary, run.rows
    console = Console(highlight=False)
    fitted = fit(columns, console.width if console.is_terminal else None)
    if not console.is_terminal:
        console = Console(highlight=False, width=sum(column.width + GAP for column in fitted))
    console.print(drawn(fitted, [COLOURS.get(standing(row), "") for row in rows], folded=True))

    def say(text: str) -> None:
        console.print(Text(printable(text)), soft_wrap=not console.is_terminal)

    for row in rows:
        if row["status"] != "ok":
            say(f"{row['candidate']}: {row['status']}: {row['reason']}")
    for text in (*run.loads, *run.tuned, *run.chances):
        say(text)
    console.print()
    say(run.answer.replace("**", "").replace("`", ""))
    if written:
        console.print(Text(printable(f"Report: {run.path / 'report.html'}")), soft_wrap=True)


def as_json(run: Run) -> str:
    """Return the table's rows as JSON."""
    return json.dumps(run.rows, indent=1, ensure_ascii=False)
