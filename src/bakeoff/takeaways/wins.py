"""What to gain: the fastest without loss, the easy win, the fastest of all."""

from __future__ import annotations

from bakeoff.records import Takeaway
from bakeoff.takeaways import facts
from bakeoff.takeaways.shown import (
    SINGLE,
    beats_reference,
    faster,
    fastest,
    kept,
    loses,
    measured,
    slower_than_reference,
    untold,
    without_accuracy,
)
from bakeoff.takeaways.words import Words, code, listed
from bakeoff.view import Line, View

WORTH = 1.05  # an easy win is at least that many times as fast: less is not worth a change
STEP = 1.10  # and for each step of effort more, that many times as fast as the easier one


def fastest_without_loss(view: View) -> Takeaway | None:
    """The fastest of those that keep the accuracy asked for and are not shown to lose any."""
    pool = [line for line in kept(view) if line.map_delta is not None and not loses(line)]
    best = fastest([line for line in pool if beats_reference(view, line)])
    if best is None:
        return None
    words, tied = Words(), untold(view, best, pool)
    text = (
        f"Fastest without measurable loss: {code(best.key)}, {words.times(best)} as fast as the reference, "
        f"{words.delta(best)}."
    )
    if tied:
        text += f" Not shown to be slower: {listed(tied)}."
    return words.say("fastest-without-loss", [best, *tied], text)


def easy_win(view: View) -> Takeaway | None:
    """The least effort and risk for a gain: the first rung of a ladder on which somebody is worth it."""
    pool = measured(view) if without_accuracy(view) else kept(view)
    reference = view.reference.trial.candidate
    told = [(line, facts.adoption(line.trial.candidate, reference)) for line in pool]
    known = [(line, one, one.risk) for line, one in told if one.risk is not None and beats_reference(view, line, WORTH)]
    rungs: dict[tuple[int, bool], list[tuple[Line, facts.Adoption]]] = {}
    for line, one, risk in known:
        rungs.setdefault((risk, one.effort > 0), []).append((line, one))
    if not rungs:
        return None
    (risk, _), rung = min(rungs.items(), key=lambda item: item[0])
    best, one, tied = _easiest(view, rung)
    words = Words()
    text = (
        f"Easy win: {code(best.key)} ({one.brings}; {facts.RISKS[risk]}) is {words.times(best)} as fast as the "
        f"reference, {words.delta(best)}."
    )
    if one.serves_batches:
        text += " It takes a second camera's frame in the same prediction."
    if tied:
        text += f" As easy, and not shown to be slower: {listed(tied)}."
    return words.say("easy-win", [best, *tied], text)


def _easiest(view: View, rung: list[tuple[Line, facts.Adoption]]) -> tuple[Line, facts.Adoption, list[Line]]:
    """Return who is worth its effort on one rung, and who is as easy and not shown to be slower."""
    serving = [pair for pair in rung if pair[1].serves_batches] or rung
    levels: dict[int, list[Line]] = {}
    for line, one in serving:
        levels.setdefault(one.effort, []).append(line)
    chosen = min(levels)
    best = _plainest(view, levels[chosen])
    for effort in sorted(levels)[1:]:
        rival = _plainest(view, levels[effort])
        if faster(view, rival, best, STEP ** (effort - chosen)):
            chosen, best = effort, rival
    adopted = next(one for line, one in serving if line is best)
    return best, adopted, untold(view, best, levels[chosen])


def _plainest(view: View, lines: list[Line]) -> Line:
    """Return the fastest, or of those not shown to be slower the one with the fewest options."""
    best = fastest(lines)
    assert best is not None
    return min([best, *untold(view, best, lines)], key=lambda line: (line.key.count("/"), _rank(line)))


def _rank(line: Line) -> tuple[float, str]:
    return -line.speedups[SINGLE].value, line.key


def most_extreme(view: View) -> Takeaway | None:
    """The fastest of all, whatever the verdict on it, and what it costs."""
    lines = measured(view)
    best = fastest([line for line in lines if beats_reference(view, line)])
    if best is None:
        if not lines:
            return None
        if not all(slower_than_reference(view, line) for line in lines):
            return Words().say("most-extreme", [], "Nothing here is shown to be faster at 1x1 than the reference.")
        return Words().say("most-extreme", [], "Everything else here is slower at 1x1 than the reference.")
    words, tied = Words(), untold(view, best, lines)
    risk = facts.adoption(best.trial.candidate, view.reference.trial.candidate).risk
    parts = [f"Fastest of all: {code(best.key)}, {words.times(best)} as fast as the reference, {words.delta(best)}"]
    if best.verdict.verdict:
        parts.append(f"its accuracy is {_verdict(best)}")
    if risk in (facts.PARTLY_QUANTISED, facts.QUANTISED):
        parts.append("other calibration images make another one")
    if "1x2" not in best.latencies and any("1x2" in line.latencies for line in view.lines):
        parts.append("it has no time at 1x2")
    text = "; ".join(parts) + "."
    if tied:
        text += f" Not shown to be slower: {listed(tied)}."
    return words.say("most-extreme", [best, *tied], text)


def _verdict(line: Line) -> str:
    return "accepted" if line.verdict.verdict == "recommended" else line.verdict.verdict
