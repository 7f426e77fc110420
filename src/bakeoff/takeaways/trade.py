"""Accuracy against speed: the Pareto front, its knee, and what lies behind it beyond doubt."""

from __future__ import annotations

import math

from bakeoff.records import Takeaway
from bakeoff.takeaways import facts
from bakeoff.takeaways.shown import KEPT, SINGLE, as_accurate, beats_reference, change, faster, kept
from bakeoff.takeaways.words import Words, by_key, code
from bakeoff.view import Line, View

STANDS_OUT = 0.05  # of a knee above the chord, both axes being 1 long


def balance(view: View) -> Takeaway | None:
    """The best trade of accuracy and speed: the knee of the Pareto front (Das, Structural Optimization 18, 1999)."""
    pool = [line for line in kept(view) if line.map_delta is not None and beats_reference(view, line)]
    front = sorted(_front(view, pool), key=lambda line: (line.speedups[SINGLE].value, line.key))
    words = Words()
    if len(pool) < 2 or not front:
        return None
    if len(front) == 1:
        text = (
            f"Nothing to trade: of those accepted, {code(front[0].key)} is the fastest, and none is shown to be "
            "more accurate."
        )
        return words.say("balance", front, text)
    scores = {line.key: _above_chord(front, line) for line in front}
    knee = max(front, key=lambda line: (scores[line.key], line.key))
    if scores[knee.key] < STANDS_OUT:
        slow, fast = front[0], front[-1]
        text = (
            f"No middle stands out: {code(slow.key)} is the more accurate one ({words.delta(slow)}, "
            f"{words.times(slow)} as fast as the reference), {code(fast.key)} the faster one ({words.delta(fast)}, "
            f"{words.times(fast)} as fast)."
        )
        return words.say("balance", [slow, fast], text)
    words.figures[f"{knee.key}:above_chord"] = scores[knee.key]
    text = (
        f"Best balance of accuracy and speed: {code(knee.key)}, {words.times(knee)} as fast as the reference, "
        f"{words.delta(knee)}."
    )
    return words.say("balance", [knee], text)


def _front(view: View, pool: list[Line]) -> list[Line]:
    """Return those to which no other one is preferable: faster and as accurate, or more accurate and as fast."""

    def preferable(one: Line, other: Line) -> bool:
        quicker, slower = faster(view, one, other), faster(view, other, one)
        better, worse = change(one) > change(other), change(one) < change(other)
        if not (quicker or slower or better or worse):  # told apart by nothing: one stands for all
            return _rank(one) < _rank(other)
        return (quicker and not worse) or (better and not slower)

    return [line for line in pool if not any(preferable(one, line) for one in pool if one is not line)]


def _rank(line: Line) -> tuple[float, str]:
    return -line.speedups[SINGLE].value, line.key


def _above_chord(front: list[Line], line: Line) -> float:
    """Return how far a point lies above the line from the most accurate to the fastest, each axis 0 to 1.

    Axes are ln(speedup) and the change of mAP50-95; on that line their sum is 1.
    """
    speeds = [math.log(one.speedups[SINGLE].value) for one in front]
    changes = [change(one) for one in front]
    if max(speeds) == min(speeds) or max(changes) == min(changes):
        return 0.0
    x = (math.log(line.speedups[SINGLE].value) - min(speeds)) / (max(speeds) - min(speeds))
    y = (change(line) - min(changes)) / (max(changes) - min(changes))
    return x + y - 1


def avoid_dominated(view: View) -> Takeaway | None:
    """Those for which nothing speaks: another one is faster, as accurate and no harder to use, beyond doubt."""
    pool = [line for line in kept(view) if line.map_delta is not None]
    found = []
    words = Words()
    for line in by_key(pool):
        better = [one for one in pool if one is not line and _dominates(view, one, line)]
        if line.verdict.verdict != "recommended" and better:
            best = min(better, key=_rank)
            ratio = view.ratio(line, best, SINGLE)
            assert ratio is not None
            text = f"{code(line.key)} ({code(best.key)} is {words.over(best, line, ratio)} as fast)"
            found.append((line, text))
    if not found:
        return None
    shown = "; ".join(text for _, text in found)
    text = f"Nothing speaks for these, as another one is faster, as accurate and as easy to use: {shown}."
    return words.say("avoid-dominated", [line for line, _ in found], text)


def _dominates(view: View, one: Line, other: Line) -> bool:
    reference = view.reference.trial.candidate
    ours, theirs = (facts.adoption(line.trial.candidate, reference) for line in (one, other))
    if ours.risk is None or theirs.risk is None or ours.risk > theirs.risk or ours.effort > theirs.effort:
        return False
    if theirs.serves_batches and not ours.serves_batches:
        return False
    shared = [w for w in other.latencies if w != SINGLE and w in one.latencies]
    slower_somewhere = any((r := view.ratio(other, one, w)) is None or r.value < 1 for w in shared)
    lacks = set(other.latencies) - set(one.latencies)
    return (
        one.verdict.verdict in KEPT
        and not lacks
        and not slower_somewhere
        and faster(view, one, other)
        and as_accurate(one, other)
    )
