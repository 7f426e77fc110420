"""The answer at a glance: the figures of the recommended Candidate, and what was concluded."""

from __future__ import annotations

from dataclasses import dataclass

from bakeoff.report import takeaways as words
from bakeoff.report.html.rows import Row, rows
from bakeoff.report.table import View
from bakeoff.report.words import signed


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One figure in large type: what it is, the figure, and how sure it is."""

    name: str
    value: str
    sure: str


def facts(view: View) -> list[Fact]:
    """Return the recommended Candidate's figures; none where nothing is recommended."""
    if view.recommended is None:
        return []
    found = {row.key: row for row in rows(view)}
    best, reference = found[view.recommended.key], found.get(view.run.reference)
    made = [_speed(best), _latency(best, reference), _accuracy(best), _size(best, reference)]
    return [fact for fact in made if fact is not None]


def takeaways(view: View) -> list[str]:
    """Return the conclusions in Markdown: those of the Run, or of its figures where it has none of its own."""
    return [one.text for one in view.run.takeaways] or words.takeaways(view)


def _between(low: str, high: str) -> str:
    return f"95% interval {low} to {high}"


def _speed(best: Row) -> Fact | None:
    value, bounds = best.number("speedup_1x1"), best.bounds("speedup_1x1")
    if value is None:
        return None
    sure = "no interval" if bounds is None else _between(f"{bounds[0]:.2f}", f"{bounds[1]:.2f}")
    return Fact(name="times as fast as the reference", value=f"{value:.2f}×", sure=sure)


def _latency(best: Row, reference: Row | None) -> Fact | None:
    value = best.number("latency_1x1_ms")
    if value is None:
        return None
    tail, own = best.number("latency_1x1_p95_ms"), None if reference is None else reference.number("latency_1x1_ms")
    more = [f"95% of them within {tail:.1f} ms" if tail is not None else ""]
    more.append(f"reference {own:.1f} ms" if own is not None else "")
    return Fact(name="for one frame (median)", value=f"{value:.1f} ms", sure="; ".join(filter(None, more)))


def _accuracy(best: Row) -> Fact | None:
    value, bounds = best.number("map_delta"), best.bounds("map_delta")
    if value is None:
        return None
    sure = "no interval" if bounds is None else _between(signed(bounds[0]), signed(bounds[1]))
    return Fact(name="mAP50-95 against the reference", value=signed(value), sure=sure)


def _size(best: Row, reference: Row | None) -> Fact | None:
    value = best.number("size_bytes")
    if value is None:
        return None
    own = None if reference is None else reference.number("size_bytes")
    return Fact(
        name="to deploy", value=f"{value / 1e6:.1f} MB", sure="" if own is None else f"reference {own / 1e6:.1f} MB"
    )
