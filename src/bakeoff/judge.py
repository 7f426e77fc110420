"""From Trials, their timings and the Requirements to Verdicts; pure.

Accuracy decides who may win, speed who does. With margin m, a Candidate is accepted when the whole interval of its
mAP50-95 difference lies above -m, rejected when it lies below, undecided otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from bakeoff.errors import InputError
from bakeoff.records import Estimate, Requirements, Trial, Verdict, Workload
from bakeoff.speed.samples import MS, Timings, WorkloadSamples, speedup, summarise
from bakeoff.stats import Ratio, percentile

PREFERENCES = ("latency", "throughput", "accuracy", "size")
SINGLE = "1x1"
MIN_IMAGES = 10  # fewer make a bootstrap interval that means nothing


def judge(trials: Sequence[Trial], reference: str, timings: Timings, requirements: Requirements) -> list[Verdict]:
    """Return a Verdict for each Trial, in order; none is recommended where nothing accepted beats the reference.

    Raises:
        InputError: an unknown preference.
    """
    if requirements.prefer not in PREFERENCES:
        raise InputError(f"prefer {requirements.prefer!r} is not one of {', '.join(PREFERENCES)}")
    verdicts = {trial.candidate.key: by_accuracy(trial, reference, requirements) for trial in trials}
    within = [
        trial
        for trial in trials
        if verdicts[trial.candidate.key].verdict in ("accepted", "reference")
        and trial.status == "ok"
        and _in_budget(trial, timings, requirements)
    ]
    for trial in trials:
        verdict = verdicts[trial.candidate.key]
        if verdict.verdict == "accepted" and trial not in within:
            budget = f"p{requirements.percentile:g} not shown to be within {requirements.latency_budget_ms:g} ms"
            verdicts[verdict.key] = Verdict(key=verdict.key, verdict="accepted", why=f"{verdict.why}; {budget}")
    best = _best(within, reference, timings, requirements.prefer)
    if best is not None and best.candidate.key != reference:
        best = _plainest(best, within, reference, timings, requirements.prefer)
        key = best.candidate.key
        tied = [
            trial.candidate.key
            for trial in within
            if trial is not best and _ties(key, trial.candidate.key, timings, requirements.prefer)
        ]
        own = verdicts[key]
        verdicts[key] = Verdict(key=key, verdict="recommended", why=own.why, tied_with=tuple(tied))
        for other in tied:
            verdict = verdicts[other]
            verdicts[other] = Verdict(key=other, verdict=verdict.verdict, why=verdict.why, tied_with=(key,))
    return [verdicts[trial.candidate.key] for trial in trials]


def over_budget(trial: Trial, timings: Timings, requirements: Requirements) -> float | None:
    """Return a Candidate's 1x1 latency at the percentile asked for, in ms, where it exceeds the budget."""
    if requirements.latency_budget_ms is None:
        return None
    samples = timings.get((trial.candidate.key, SINGLE))
    if samples is None:
        return None
    value = percentile(samples.latency_ns, requirements.percentile) * MS
    return value if value > requirements.latency_budget_ms else None


def enough_samples(count: int, percent: float) -> bool:
    """Whether a percentile can be told from so many samples: four beyond it, so a p99 needs 400."""
    return count * min(percent, 100 - percent) / 100 >= 4


def by_accuracy(trial: Trial, reference: str, requirements: Requirements) -> Verdict:
    """Return what a Trial's accuracy alone says: each margin asked for must be shown to be kept."""
    key = trial.candidate.key
    if key == reference:
        return Verdict(key=key, verdict="reference" if trial.status == "ok" else "")
    if trial.status == "ok" and trial.map_delta is None and trial.agreement is not None:
        share = trial.agreement.matched_share
        why = f"no labels: {share.value:.1%} [{share.low:.1%}, {share.high:.1%}] of both sides' boxes have a partner"
        return Verdict(key=key, verdict="undecided", why=why)
    if trial.status != "ok" or trial.map_delta is None:
        return Verdict(key=key, verdict="")
    if trial.accuracy is not None and trial.accuracy.images < MIN_IMAGES:
        return Verdict(key=key, verdict="undecided", why=f"{trial.accuracy.images} images tell nothing")
    images = None if trial.accuracy is None else trial.accuracy.images
    parts = [margin_verdict("mAP50-95", trial.map_delta, requirements.max_map_drop, images)]
    point = trial.operating_point
    if requirements.max_recall_drop is not None and point is not None:
        name = f"recall at confidence {point.confidence:.3f}"
        parts.append(margin_verdict(name, point.deltas["recall"], requirements.max_recall_drop, images))
    said = [verdict for verdict, _ in parts]
    whole = next((verdict for verdict in ("rejected", "undecided") if verdict in said), "accepted")
    return Verdict(key=key, verdict=whole, why="; ".join(why for _, why in parts))


def margin_verdict(name: str, delta: Estimate, margin: float, images: int | None = None) -> tuple[str, str]:
    """Return accepted, rejected or undecided, and why; undecided says about how many images would decide it."""
    shown = f"{name} {delta.value:+.4f} [{delta.low:+.4f}, {delta.high:+.4f}]"
    if delta.low > -margin:
        return "accepted", f"{shown}: loses less than {margin:g}"
    if delta.high < -margin:
        return "rejected", f"{shown}: loses more than {margin:g}"
    why = f"{shown}: these images can't tell whether it loses more than {margin:g}"
    if images is not None:
        why += f"; {images_needed(delta, margin, images)}"
    return "undecided", why


def images_needed(delta: Estimate, margin: float, images: int) -> str:
    """Return about how many images would put the whole interval on one side of the margin, in words."""
    count = images_to_decide(delta, margin, images)
    if count is None:
        return f"it stands so close to the margin that {images * 100} images might not decide it"
    return f"about {count} images like these would decide it"


def images_to_decide(delta: Estimate, margin: float, images: int) -> int | None:
    """Return about how many images it would take, to the next ten; `None`: it stands too close to the margin to say.

    An interval shrinks with the square root of the number of images; the difference itself is taken as it stands.
    """
    distance = delta.value + margin
    half = delta.value - delta.low if distance > 0 else delta.high - delta.value
    if abs(distance) * 20 <= half:
        return None
    return math.ceil(images * (half / distance) ** 2 / 10) * 10


def _in_budget(trial: Trial, timings: Timings, requirements: Requirements) -> bool:
    if requirements.latency_budget_ms is None:
        return True
    samples = timings.get((trial.candidate.key, SINGLE))
    if samples is None or not enough_samples(samples.latency_ns.size, requirements.percentile):
        return False  # doubt is never a win
    return over_budget(trial, timings, requirements) is None


def _best(trials: Sequence[Trial], reference: str, timings: Timings, prefer: str) -> Trial | None:
    """Return the best Trial; the reference stays where nothing is better."""
    scored = [(score, trial) for trial in trials if (score := _score(trial, reference, timings, prefer)) is not None]
    return max(scored, key=lambda pair: pair[0])[1] if scored else None


def _plainest(best: Trial, trials: Sequence[Trial], reference: str, timings: Timings, prefer: str) -> Trial:
    """Return the one to recommend of those that tie with the best, the same in every Run of the same Candidates.

    Which of them came out first is chance. Taken is the one whose accuracy is the safest (the lower bound of its
    difference to the reference's, to 0.001), then the plainest: the first in the plan. Only an interval that holds 1
    makes an equal, and only one that nothing else beats: ties are not transitive.
    """
    if prefer in ("size", "accuracy"):
        return best
    workload = _decisive(best.candidate.key, timings, prefer)

    def ratio(slow: Trial, fast: Trial) -> Ratio | None:
        return pair_ratio(slow.candidate.key, fast.candidate.key, workload, timings)

    def beats(fast: Trial, slow: Trial) -> bool:
        one = ratio(slow, fast)
        return one is not None and one.low is not None and one.low > 1

    def is_equal(trial: Trial) -> bool:
        one = ratio(best, trial)
        if trial.candidate.key == reference or one is None or one.low is None or not one.tie:
            return False
        return not any(
            beats(rival, trial) or (rival.candidate.key == reference and beats(best, rival) and not beats(trial, rival))
            for rival in trials
        )

    equals = [trial for trial in trials if trial is best or is_equal(trial)]
    return max(equals, key=lambda trial: -1.0 if trial.map_delta is None else round(trial.map_delta.low, 3))


def _score(trial: Trial, reference: str, timings: Timings, prefer: str) -> float | None:
    """Return what the preference asks for; higher is better, `None` where it was not measured."""
    key = trial.candidate.key
    if prefer == "size":
        return None if trial.artifact is None else -float(trial.artifact.size_bytes)
    if prefer == "accuracy":
        return None if trial.accuracy is None else trial.accuracy.map50_95
    if prefer == "throughput":
        return max((rate for _, rate in _rates(key, timings)), default=None)
    if key == reference:
        return 1.0 if (key, SINGLE) in timings else None
    ratio = pair_ratio(reference, key, SINGLE, timings)
    return None if ratio is None else ratio.value


def _rates(key: str, timings: Timings) -> list[tuple[str, float]]:
    return [
        (workload, summarise(samples, Workload.parse(workload), 1, intervals=False).frames_per_s)
        for (owner, workload), samples in timings.items()
        if owner == key
    ]


def _ties(best: str, other: str, timings: Timings, prefer: str) -> bool:
    if prefer in ("size", "accuracy"):
        return False
    ratio = pair_ratio(best, other, _decisive(best, timings, prefer), timings)
    return ratio is None or ratio.tie


def _decisive(best: str, timings: Timings, prefer: str) -> str:
    """Return the Workload that the preference is about."""
    return SINGLE if prefer == "latency" else max(_rates(best, timings), key=lambda pair: pair[1])[0]


def pair_ratio(slow: str, fast: str, workload: str, timings: Timings) -> Ratio | None:
    """Return `slow`'s time over `fast`'s for one Workload, from the rounds that both were in."""
    pair: list[WorkloadSamples | None] = [timings.get((key, workload)) for key in (slow, fast)]
    if pair[0] is None or pair[1] is None:
        return None
    return speedup(pair[0].medians, pair[1].medians)
