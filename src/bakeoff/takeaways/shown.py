"""What a Run's figures show, and what they leave in doubt.

Measured figures show only what their interval shows. Somebody else's without an interval are taken at their value, and
whoever says so says that there is no interval.
"""

from __future__ import annotations

from bakeoff.stats import Ratio
from bakeoff.view import Line, View

SINGLE = "1x1"
KEPT = ("accepted", "recommended")


def above(view: View, ratio: Ratio | None, bound: float = 1.0) -> bool:
    """Whether a ratio is shown to be larger than a bound."""
    if ratio is None:
        return False
    if ratio.low is None:
        return view.run.imported is not None and ratio.value > bound
    return ratio.low > bound


def faster(view: View, fast: Line, slow: Line, by: float = 1.0) -> bool:
    """Whether one Candidate is shown to be faster at 1x1 than another one, by more than a factor."""
    return above(view, view.ratio(slow, fast, SINGLE), by)


def beats_reference(view: View, line: Line, by: float = 1.0) -> bool:
    """Whether a Candidate is shown to be faster at 1x1 than the reference."""
    return above(view, line.speedups.get(SINGLE), by)


def slower_than_reference(view: View, line: Line) -> bool:
    """Whether a Candidate is shown to be slower at 1x1 than the reference."""
    ratio = line.speedups.get(SINGLE)
    if ratio is None:
        return False
    if ratio.high is None:
        return view.run.imported is not None and ratio.value < 1
    return ratio.high < 1


def loses(line: Line) -> bool:
    """Whether a Candidate is shown to be less accurate than the reference."""
    delta = line.map_delta
    return delta is not None and (delta.value if delta.high is None else delta.high) < 0


def change(line: Line) -> float:
    """Return the change of mAP50-95 that is shown: one whose interval holds 0 counts as 0, and the reference's is."""
    delta = line.map_delta
    if delta is None or (delta.low is not None and delta.high is not None and delta.low <= 0 <= delta.high):
        return 0.0
    return delta.value


def as_accurate(one: Line, other: Line) -> bool:
    """Whether a Candidate is shown to be no less accurate than another one, beyond doubt."""
    return _bound(one, low=True) >= _bound(other, low=False)


def _bound(line: Line, *, low: bool) -> float:
    delta = line.map_delta
    if delta is None:
        return 0.0
    bound = delta.low if low else delta.high
    return delta.value if bound is None else bound


def measured(view: View) -> list[Line]:
    """Return those that ran and have a speedup at 1x1, without the reference."""
    return [line for line in view.lines if line.trial.status == "ok" and SINGLE in line.speedups]


def without_accuracy(view: View) -> bool:
    """Whether nobody's accuracy is known, so that speed alone can be told."""
    return all(line.map_delta is None and line.trial.agreement is None for line in view.lines)


def kept(view: View) -> list[Line]:
    """Return those that keep the accuracy asked for and have a speedup at 1x1, without the reference."""
    return [line for line in measured(view) if line.verdict.verdict in KEPT]


def fastest(lines: list[Line]) -> Line | None:
    """Return the fastest at 1x1 by its figure; of equal figures the first key."""
    return min(lines, key=lambda line: (-line.speedups[SINGLE].value, line.key), default=None)


def untold(view: View, best: Line, lines: list[Line]) -> list[Line]:
    """Return those that are not shown to be slower at 1x1 than the best, by their keys."""
    others = [line for line in lines if line is not best and not faster(view, best, line)]
    return sorted(others, key=lambda line: line.key)
