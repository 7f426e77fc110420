"""A Run as a person at a terminal sees it at work: a table that fills as Trials finish, and a bar beneath.

Nothing here runs by itself: no thread, no clock. The table is written when the Run says something, so between blocks
and never beside one, and while it is timed once a second at most.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bakeoff.cli.fit import drawn, fit, printable
from bakeoff.records import Trial, Workload
from bakeoff.report.summary import Column
from bakeoff.report.words import number, signed

EVERY_S = 1.0
BENEATH = 4  # lines: a gap, the bar, what is at work, and the cursor's
STATE = 10  # columns that the longest common state takes: nothing moves when it changes
STYLES = {"waiting": "dim", "skipped": "dim", "failed": "red", "built": "dim"}


@dataclass(kw_only=True)
class Stage:
    """How far one stage is."""

    name: str = ""
    total: int = 0
    done: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def elapsed_s(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.started

    @property
    def left_s(self) -> float | None:
        """Seconds that the rest takes at the pace so far; `None` before there is one."""
        return max(0.0, self.elapsed_s / self.done * (self.total - self.done)) if self.done else None


@contextlib.contextmanager
def table(console: Console) -> Iterator[LiveTable]:
    """Show the table for as long as the block lasts; it goes when all went well, and stays where something ended it."""
    shown = LiveTable(console)
    with shown.live:
        try:
            yield shown
        except BaseException:
            shown.live.transient = not shown.trials
            raise


class LiveTable:
    """An Observer that shows the Trials."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.trials: dict[str, Trial] = {}
        self._medians: dict[tuple[str, str], list[float]] = {}
        self._workloads: list[str] = []
        self._stage = Stage()
        self._what = self._at = ""
        self._drawn = 0.0
        self.live = Live(
            console=console,
            get_renderable=self.render,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            vertical_overflow="crop",
        )

    def stage(self, name: str, total: int) -> None:
        """See `Observer.stage`."""
        self._stage = Stage(name=name, total=total)
        self._what = self._at = ""
        self._draw()

    def advance(self, parts: int = 1, what: str = "") -> None:
        """See `Observer.advance`."""
        self._stage.done += parts
        if what:
            self._what = what
            words = (word.strip(":,") for word in what.split())
            self._at = next((word for word in words if word in self.trials), "")
        self._draw(every_s=EVERY_S if parts else 0.0)

    def say(self, text: str) -> None:
        """See `Observer.say`."""
        self._console.print(Text(printable(text), style="yellow"))

    def trial(self, trial: Trial) -> None:
        """See `TrialObserver.trial`."""
        key = trial.candidate.key
        before = self.trials.get(key)
        self.trials[key] = trial
        if before is None or self._cells(before) != self._cells(trial):
            self._draw(every_s=EVERY_S if before is None else 0.0)

    def block(self, key: str, workload: Workload, median_ms: float) -> None:
        """See `TrialObserver.block`."""
        name = str(workload)
        if name not in self._workloads:
            self._workloads.append(name)
        self._medians.setdefault((key, name), []).append(median_ms)

    def _draw(self, *, every_s: float = 0.0) -> None:
        now = time.monotonic()
        if now - self._drawn >= every_s:
            self._drawn = now
            self.live.refresh()

    def render(self) -> RenderableType:
        """Return what is to be seen now, at most as many lines as the terminal has."""
        beneath = (self._bar(), Text(printable(self._what), style="dim", no_wrap=True, overflow="ellipsis"))
        room = self._console.size.height - BENEATH - 2  # the heading
        if not self.trials or room < 1:
            return Group(*beneath)
        keys, left_out = self._rows(room)
        columns = self._columns(keys)
        styles = [self._style(key) for key in keys]
        table = drawn(fit(columns, self._console.size.width), styles, folded=False)
        return Group(table, Text(left_out, style="dim", no_wrap=True, overflow="ellipsis"), *beneath)

    def _bar(self) -> RenderableType:
        stage = self._stage
        grid = Table.grid(padding=(0, 1))
        for _ in range(4):
            grid.add_column(no_wrap=True, overflow="ellipsis")
        left = "" if stage.left_s is None or stage.total < 2 else f", about {_duration(stage.left_s)} left"
        grid.add_row(
            Text(printable(stage.name), style="bold"),
            ProgressBar(total=max(stage.total, 1), completed=min(stage.done, stage.total), width=20),
            f"{stage.done}/{stage.total}" if stage.total > 1 else "",
            f"{_duration(stage.elapsed_s)}{left}",
        )
        return grid

    def _rows(self, room: int) -> tuple[list[str], str]:
        """Return the keys to show in so many lines, and a line on those left out: the skipped ones first."""
        keys = list(self.trials)
        if len(keys) > room:
            keys = [key for key in keys if key == self._at or self.trials[key].status != "skipped"]
        if len(keys) > room:
            at = keys.index(self._at) if self._at in keys else 0
            first = min(max(0, at - room // 2), len(keys) - room)
            keys = keys[first : first + room]
        hidden = Counter(self._state(key) for key in self.trials if key not in keys)
        words = ", ".join(f"{count} {state}" for state, count in hidden.items())
        return keys, f"… {sum(hidden.values())} more: {words}" if hidden else ""

    def _columns(self, keys: list[str]) -> list[Column]:
        cells = [self._cells(self.trials[key]) for key in keys]
        figures = list(zip(*cells, strict=True))
        medians = [tuple(number(self._median(key, workload), ".1f") for key in keys) for workload in self._workloads]
        found = [
            Column(head=("Candidate",), forms=(tuple(keys),), figures=False),
            Column(head=("now",), forms=(tuple(f"{self._state(key):<{STATE}}" for key in keys),), figures=False),
            Column(head=("mAP", "50-95"), forms=(figures[0],), ranks=(40,)),
            Column(head=("Δ mAP", "50-95"), forms=(figures[1],), ranks=(20,)),
            *(
                Column(head=(workload, "ms"), forms=(one,), ranks=() if i == 0 else (max(6, 19 - i),))
                for i, (workload, one) in enumerate(zip(self._workloads, medians, strict=True))
            ),
            Column(head=("convert", "s"), forms=(figures[2],), ranks=(1,)),
            Column(head=("size", "MB"), forms=(figures[3],), ranks=(2,)),
        ]
        return [column for column in found if any(column.forms[0])]

    def _cells(self, trial: Trial) -> tuple[str, str, str, str, str]:
        """Return what is shown of a Trial, its standing last."""
        return (
            "" if trial.accuracy is None else f"{trial.accuracy.map50_95:.4f}",
            "" if trial.map_delta is None else signed(trial.map_delta.value),
            number(trial.convert_s, ".1f"),
            "" if trial.artifact is None else f"{trial.artifact.size_bytes / 1e6:.1f}",
            _standing(trial),
        )

    def _median(self, key: str, workload: str) -> float | None:
        """Return the latency so far: the median of the blocks' medians."""
        known = self._medians.get((key, workload))
        return statistics.median(known) if known else None

    def _state(self, key: str) -> str:
        trial = self.trials[key]
        if key == self._at and trial.status == "ok":
            return self._stage.name.partition(" ")[0].strip(",")
        return _standing(trial)

    def _style(self, key: str) -> str:
        return "bold cyan" if key == self._at else STYLES.get(_standing(self.trials[key]), "")


def _standing(trial: Trial) -> str:
    """Return how far a Trial has come."""
    if trial.status != "ok":
        return trial.status
    steps = {"timed": trial.timed, "verified": trial.verified, "converted": trial.artifact is not None}
    return next((word for word, done in steps.items() if done), "waiting")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
