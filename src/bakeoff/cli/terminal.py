"""What a person at a terminal sees: progress while it works, the table at the end; plain lines elsewhere."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from bakeoff.errors import one_line

if TYPE_CHECKING:
    from bakeoff.api import Run
    from bakeoff.report.table import Cell
    from bakeoff.steps.context import Observer

PLAIN_EVERY_S = 10.0
COLOURS = {"recommended": "bold green", "rejected": "red", "undecided": "yellow", "failed": "red", "skipped": "dim"}


@contextlib.contextmanager
def observer() -> Iterator[Observer]:
    """Return who shows the progress, on stderr: bars on a terminal, lines elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines()
        return
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description:<16}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[what]}", style="dim"),
        console=console,
    )
    with progress:
        yield _Bars(progress)


class _Bars:
    """Progress bars, one a stage."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def stage(self, name: str, total: int) -> None:
        if self._task is not None:
            self._finish()
        self._task = self._progress.add_task(name, total=total, what="")

    def advance(self, parts: int = 1, what: str = "") -> None:
        if self._task is not None:
            self._progress.advance(self._task, parts)
            if what:
                self._progress.update(self._task, what=escape(what))

    def say(self, text: str) -> None:
        self._progress.console.print(escape(text), style="yellow")

    def _finish(self) -> None:
        assert self._task is not None
        self._progress.update(self._task, what="")


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
        if now - self._told < PLAIN_EVERY_S or not self._done:
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


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: drawn on a terminal, tab-separated elsewhere."""
    console = Console()
    if not console.is_terminal:
        for row in (head, *rows):
            click.echo("\t".join(row))
        return
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for name in head:
        drawn.add_column(name, overflow="fold")
    for row in rows:
        drawn.add_row(*(escape(cell) for cell in row))
    console.print(drawn)


def show(run: Run, *, written: bool = True) -> None:
    """Print a Run's table, what failed, the chances, the answer, and where the rest is, if it was `written`."""
    console = Console()
    width = max(console.width, 100) if not console.is_terminal else console.width
    console = Console(width=width, highlight=False)
    narrow = width < 110
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    drawn.add_column("Candidate", no_wrap=not narrow, overflow="fold")
    drawn.add_column("verdict")
    names = ["mAP50-95", *([] if narrow else ["Δ [95%]"]), "1x1 ms", "1x2 ms", "2x1 ms", "speedup"]
    for name in names:
        drawn.add_column(name, justify="right")
    for row in run.rows:
        verdict = str(row["verdict"] or "") if row["status"] == "ok" else str(row["status"])
        delta = "" if row["verdict"] == "reference" else _cell(row["map_delta"], "+.4f")
        if delta:
            bounds = f"[{_cell(row['map_delta_low'], '+.4f')}, {_cell(row['map_delta_high'], '+.4f')}]"
            delta += " (no interval)" if row["map_delta_low"] is None else f" {bounds}"
        speedup = "" if row["speedup_1x1"] is None else f"{row['speedup_1x1']:.2f}"
        if row["speedup_1x1_low"] is not None and row["verdict"] != "reference":
            speedup += f" ±{(float(row['speedup_1x1_high']) - float(row['speedup_1x1_low'])) / 2:.2f}"  # type: ignore[arg-type]
        cells = [
            str(row["candidate"]),
            verdict,
            _with_half_width(row, "val_map50_95"),
            *([] if narrow else [delta]),
            *(_cell(row.get(f"latency_{w}_ms"), ".1f") for w in ("1x1", "1x2", "2x1")),
            speedup,
        ]
        drawn.add_row(*(escape(cell) for cell in cells), style=COLOURS.get(verdict))
    console.print(drawn)
    for row in run.rows:
        if row["status"] != "ok":
            console.print(escape(f"{row['candidate']}: {row['status']}: {row['reason']}"), soft_wrap=True)
    for text in (*run.loads, *run.tuned, *run.chances):
        console.print(escape(text), soft_wrap=True)
    console.print()
    console.print(escape(run.answer.replace("**", "").replace("`", "")), soft_wrap=True)
    if written:
        console.print(f"Report: {escape(str(run.path / 'report.html'))}", soft_wrap=True)


def as_json(run: Run) -> str:
    """Return the table's rows as JSON."""
    return json.dumps(run.rows, indent=1, ensure_ascii=False)


def _with_half_width(row: Mapping[str, Cell], name: str) -> str:
    value, low, high = (row.get(f"{name}{bound}") for bound in ("", "_low", "_high"))
    shown = _cell(value, ".4f")
    return f"{shown} ±{(high - low) / 2:.4f}" if isinstance(low, float) and isinstance(high, float) else shown


def _cell(value: object, form: str) -> str:
    return format(value, form) if isinstance(value, (int, float)) else ""
