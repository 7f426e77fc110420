"""How takeaways are worded: every figure that is said is kept beside the text."""

from __future__ import annotations

from collections.abc import Iterable

from bakeoff.errors import one_line
from bakeoff.records import Takeaway
from bakeoff.stats import Ratio
from bakeoff.view import Difference, Line

BOUNDS = ("", "_low", "_high")
NO_INTERVAL = "no interval"


class Words:
    """The text of one takeaway in the making, and its figures.

    A figure of a Candidate is named `KEY:COLUMN`, as in `table.csv`; any other has a name of its own.
    """

    def __init__(self) -> None:
        self.figures: dict[str, float] = {}

    def figure(self, name: str, value: float, form: str) -> str:
        """Return a figure as it is written, and keep it."""
        self.figures[name] = value
        shown = format(value, form)
        return shown if float(shown) else shown.replace("-", "+" if form.startswith("+") else "")  # never -0.0000

    def ms(self, line: Line, column: str, value: float) -> str:
        """Return a latency in milliseconds."""
        return f"{self.figure(f'{line.key}:{column}', value, '.1f' if value >= 10 else '.2f')} ms"

    def interval(self, names: Iterable[str], values: Iterable[float | None], form: str) -> str:
        """Return a figure with its 95% interval, or that it has none."""
        (name, value), *bounds = zip(names, values, strict=True)
        assert value is not None
        shown = self.figure(name, value, form)
        known = [self.figure(name, bound, form) for name, bound in bounds if bound is not None]
        return f"{shown} [{', '.join(known)}]" if known else f"{shown} ({NO_INTERVAL})"

    def times(self, line: Line, workload: str = "1x1") -> str:
        """Return a Candidate's speedup."""
        ratio = line.speedups[workload]
        names = (f"{line.key}:speedup_{workload}{bound}" for bound in BOUNDS)
        return ratio_text(self.interval(names, (ratio.value, ratio.low, ratio.high), ".2f"))

    def over(self, fast: Line, slow: Line, ratio: Ratio, workload: str = "1x1") -> str:
        """Return how many times as fast one Candidate is as another one."""
        names = (f"{fast.key}:ratio_{workload}{bound}:{slow.key}" for bound in BOUNDS)
        return ratio_text(self.interval(names, (ratio.value, ratio.low, ratio.high), ".2f"))

    def delta(self, line: Line) -> str:
        """Return a Candidate's difference in mAP50-95, or that it was not measured."""
        if line.map_delta is None:
            return "accuracy not measured"
        return f"mAP50-95 {self.change(line, line.map_delta)}"

    def change(self, line: Line, delta: Difference) -> str:
        """Return that difference alone."""
        names = (f"{line.key}:map_delta{bound}" for bound in BOUNDS)
        return self.interval(names, (delta.value, delta.low, delta.high), "+.4f")

    def say(self, rule: str, lines: Iterable[Line], text: str) -> Takeaway:
        """Return the takeaway."""
        return Takeaway(rule=rule, candidates=tuple(line.key for line in lines), figures=self.figures, text=text)


def ratio_text(shown: str) -> str:
    """Put `times` behind a ratio's value: `1.39 times [1.30, 1.48]`."""
    value, _, interval = shown.partition(" ")
    return f"{value} times {interval}"


def code(text: str) -> str:
    """Return text from outside as Markdown's code, in which nothing but a backtick has a meaning."""
    return f"`{one_line(text).replace('`', chr(39))}`"


def listed(lines: Iterable[Line]) -> str:
    """Return keys in one order, whatever the rows' order is."""
    return ", ".join(code(line.key) for line in lines)


def by_key(lines: Iterable[Line]) -> list[Line]:
    """Return lines in the order of their keys."""
    return sorted(lines, key=lambda line: line.key)
