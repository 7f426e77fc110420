"""What could not be told, and what would tell it."""

from __future__ import annotations

import math

from bakeoff.judge import MIN_IMAGES, images_to_decide, margin_verdict
from bakeoff.records import Estimate, Takeaway
from bakeoff.stats import Ratio
from bakeoff.takeaways.shown import SINGLE
from bakeoff.takeaways.words import BOUNDS, Words, by_key, code, listed
from bakeoff.view import Line, View

HOPELESS = 100  # times as many images or rounds are not named: nobody will wait for them


def no_intervals(view: View) -> Takeaway | None:
    """Somebody else's figures have no samples: what differs by little may be noise."""
    if view.run.imported is None:
        return None
    text = (
        f"Somebody else's figures, from {code(view.run.imported)}: where there is no interval, nobody can tell a small "
        "difference from noise. `bakeoff run` with the same model and images would tell."
    )
    return Words().say("no-intervals", [], text)


def undecided(view: View) -> Takeaway | None:
    """Those whose accuracy the images can't tell, and about how many images would."""
    doubts = by_key(line for line in view.lines if line.verdict.verdict == "undecided")
    if not doubts:
        return None
    words = Words()
    shown = "; ".join(f"{code(line.key)}: {_would_tell(words, line, view)}" for line in doubts)
    return words.say("undecided", doubts, f"Undecided: {shown}.")


def _would_tell(words: Words, line: Line, view: View) -> str:
    trial = line.trial
    if trial.map_delta is None:
        return "a loss of accuracy is not known; labels of these images would tell" if trial.agreement else (
            f"{words.delta(line)}; measuring it on images of your own would tell"
        )  # fmt: skip
    images = None if trial.accuracy is None else trial.accuracy.images
    if images is not None and images < MIN_IMAGES:
        least = words.figure("min_images", MIN_IMAGES, ".0f")
        return f"{words.figure(f'{line.key}:images', images, '.0f')} images tell nothing; {least} are the least"
    asked = view.run.settings.requirements
    parts = []
    if margin_verdict("", trial.map_delta, asked.max_map_drop)[0] == "undecided":
        margin = words.figure("max_map_drop", asked.max_map_drop, "g")
        needed = _images(words, line, "map_delta", trial.map_delta, asked.max_map_drop, images)
        parts.append(f"{words.delta(line)} against {margin} allowed; {needed}")
    recall = None if trial.operating_point is None else trial.operating_point.deltas.get("recall")
    drop = asked.max_recall_drop
    if drop is not None and recall is not None and margin_verdict("", recall, drop)[0] == "undecided":
        names = (f"{line.key}:op_recall_delta{bound}" for bound in BOUNDS)
        shown = words.interval(names, (recall.value, recall.low, recall.high), "+.4f")
        margin = words.figure("max_recall_drop", drop, "g")
        needed = _images(words, line, "op_recall_delta", recall, drop, images)
        parts.append(f"recall {shown} against {margin} allowed; {needed}")
    return ", and ".join(parts) or "its verdict says why"


def _images(words: Words, line: Line, name: str, delta: Estimate, margin: float, images: int | None) -> str:
    if images is None:
        return "more images would tell"
    count = images_to_decide(delta, margin, images)
    if count is None:
        many = words.figure(f"{line.key}:images_not_enough", images * HOPELESS, ".0f")
        return f"so close to it that {many} images might not tell"
    needed = words.figure(f"{line.key}:images_needed:{name}", count, ".0f")
    were = words.figure(f"{line.key}:images", images, ".0f")
    return f"about {needed} images like these would tell ({were} were there)"


def tied(view: View) -> Takeaway | None:
    """Who can't be told from the recommended one, and what would tell them apart."""
    best = view.recommended
    if best is None or not best.verdict.tied_with:
        return None
    workload = _decisive(view, best)
    others = by_key(line for line in view.lines if line.key in best.verdict.tied_with)
    words = Words()
    shown = "; ".join(f"{code(line.key)}: {_apart(words, view, best, line, workload)}" for line in others)
    return words.say("tied", [best, *others], f"Not told from {code(best.key)} at {workload}: {shown}.")


def _decisive(view: View, best: Line) -> str:
    """Return the Workload that the preference is about, as the judge does."""
    rates = {w: one.frames_per_s for w, one in best.latencies.items() if one.frames_per_s is not None}
    if view.run.settings.requirements.prefer != "throughput" or not rates:
        return SINGLE
    return max(rates, key=lambda workload: (rates[workload], workload))


def _apart(words: Words, view: View, best: Line, line: Line, workload: str) -> str:
    ratio = view.ratio(line, best, workload)
    if ratio is None:
        return "never timed in the same rounds; a Run of these two alone would tell"
    shown = f"its time over the recommended one's is {words.over(best, line, ratio, workload).replace(' times', '')}"
    if ratio.low is None or ratio.high is None:
        return f"{shown}; samples would tell"
    most = words.figure(f"{line.key}:apart_at_most_percent", (max(ratio.high, 1 / ratio.low) - 1) * 100, ".1f")
    return f"{shown}, at most {most}% apart; {_rounds(words, view, best, line, ratio, workload)}"


def _rounds(words: Words, view: View, best: Line, line: Line, ratio: Ratio, workload: str) -> str:
    """Say how many rounds would separate them if the ratio is what it looks like.

    An interval of ln(ratio) shrinks with the square root of the number of rounds, so long as generations of processes
    grow with them: what processes differ by does not average out within one.
    """
    assert ratio.low is not None
    assert ratio.high is not None
    half, distance = math.log(ratio.high / ratio.low) / 2, abs(math.log(ratio.value))
    rounds = min(len(view.timings[one.key, workload].round) for one in (best, line))
    were = words.figure(f"{line.key}:rounds", rounds, ".0f")
    if half**2 > HOPELESS * distance**2:
        many = words.figure("hopeless", HOPELESS, ".0f")
        return f"so close that {many} times as many rounds as the {were} there were might not tell"
    needed = words.figure(f"{line.key}:rounds_needed", math.ceil(rounds * (half / distance) ** 2 / 10) * 10, ".0f")
    return f"about {needed} rounds ({were} were there), in as many more generations, would tell if that is the ratio"


def not_measured(view: View) -> Takeaway | None:
    """Those that were skipped or could only be built, by reason, with the cure that the reason names."""
    reasons: dict[str, list[Line]] = {}
    for line in by_key(line for line in view.lines if line.trial.status in ("skipped", "built")):
        reasons.setdefault(line.trial.reason, []).append(line)
    if not reasons:
        return None
    groups = sorted(reasons.items(), key=lambda item: item[1][0].key)
    shown = "; ".join(f"{listed(lines)}: {code(reason)}" for reason, lines in groups)
    return Words().say("not-measured", [line for _, lines in groups for line in lines], f"Not measured: {shown}.")
