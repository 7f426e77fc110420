"""Who wins among those that may: the best by the preference, the plainest of those that tie with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bakeoff.accuracy.bootstrap import interval
from bakeoff.judge import reported
from bakeoff.judge.limits import SINGLE, Limit, Resamples, budgets, drops
from bakeoff.records import Estimate, Requirements, Trial, Workload
from bakeoff.speed.samples import Timings, WorkloadSamples, speedup, summarise
from bakeoff.stats import Ratio


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a Run knows of its Candidates beside their Trials."""

    reference: Trial
    timings: Timings
    resamples: Resamples

    @property
    def key(self) -> str:
        """The reference's key."""
        return self.reference.candidate.key

    def limits(self, trial: Trial, requirements: Requirements) -> tuple[Limit, ...]:
        """Return how a Candidate stands to each Requirement; the reference loses nothing to itself."""
        if trial.status != "ok":
            return ()
        is_reference = trial.candidate.key == self.key
        if trial.reported:
            lost = () if is_reference else reported.drops(trial, self.reference, requirements)
            return (*lost, *reported.budgets(trial, requirements))
        lost = () if is_reference else drops(trial, self.key, requirements, self.resamples)
        return (*lost, *budgets(trial, self.timings.get((trial.candidate.key, SINGLE)), requirements))


def winner(trials: Sequence[Trial], known: Evidence, prefer: str) -> tuple[Trial, list[str]] | None:
    """Return whom to recommend, and the keys of those that tie with it; `None` where the reference is the best."""
    if any(trial.reported for trial in trials):
        return _by_values(trials, known, prefer)
    scored = [(score, trial) for trial in trials if (score := _score(trial, known, prefer)) is not None]
    if not scored:
        return None
    best = min(scored, key=lambda pair: (-pair[0], _plainness(pair[1], known)))[1]
    if best.candidate.key == known.key:
        return None
    best = _plainest(best, trials, known, prefer)
    return best, [other.candidate.key for other in trials if other is not best and _ties(best, other, known, prefer)]


def _by_values(trials: Sequence[Trial], known: Evidence, prefer: str) -> tuple[Trial, list[str]] | None:
    """Choose by somebody else's figures: only equal ones tie."""
    scores = reported.scores(trials, known.key, prefer)
    there = [trial for trial in trials if trial.candidate.key in scores]
    if not there:
        return None
    top = max(scores[trial.candidate.key] for trial in there)
    equals = sorted(
        (trial for trial in there if scores[trial.candidate.key] == top),
        key=lambda trial: (_value_lost(trial, known), _plainness(trial, known)),
    )
    if any(trial.candidate.key == known.key for trial in equals):
        return None
    return equals[0], [trial.candidate.key for trial in trials if trial in equals[1:]]


def _value_lost(trial: Trial, known: Evidence) -> float:
    delta = reported.difference(trial, known.reference, *reported.MAP[1:])
    return 0.0 if delta is None else -delta


def _plainness(trial: Trial, known: Evidence) -> tuple[bool, int, int, str]:
    """Return what orders equals, the plainest first, in whatever order they stand.

    The reference first; then who takes more of the Workloads; then who needs fewer options and settings; then by key.
    """
    candidate = trial.candidate
    extras = len(candidate.options) + len(candidate.tuning)
    return candidate.key != known.key, len(trial.not_measured), extras, candidate.key


def _plainest(best: Trial, trials: Sequence[Trial], known: Evidence, prefer: str) -> Trial:
    """Return the one to recommend of those that tie with the best, the same in every Run of the same Candidates.

    Which of them came out first is chance. Taken is the one whose accuracy is the safest (the lower bound of its
    difference to the reference's, to 0.001), then the plainest. Only an interval that holds 1 makes an equal, and only
    one that nothing else beats: ties are not transitive.
    """
    if prefer in ("size", "accuracy"):
        return best
    workload, reference = _decisive(best, known.timings, prefer), known.key

    def ratio(slow: Trial, fast: Trial) -> Ratio | None:
        return pair_ratio(slow.candidate.key, fast.candidate.key, workload, known.timings)

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

    def order(trial: Trial) -> tuple[float, tuple[bool, int, int, str]]:
        safest = -1.0 if trial.map_delta is None else round(trial.map_delta.low, 3)
        return -safest, _plainness(trial, known)

    return min((trial for trial in trials if trial is best or is_equal(trial)), key=order)


def _score(trial: Trial, known: Evidence, prefer: str) -> float | None:
    """Return what the preference asks for; higher is better, `None` where it was not measured."""
    key, timings = trial.candidate.key, known.timings
    if prefer == "size":
        return None if trial.artifact is None else -float(trial.artifact.size_bytes)
    if prefer == "accuracy":
        return None if trial.accuracy is None else trial.accuracy.map50_95
    if prefer == "throughput":
        return max((rate for _, rate in _rates(key, timings)), default=None)
    if key == known.key:
        return 1.0 if (key, SINGLE) in timings else None
    ratio = pair_ratio(known.key, key, SINGLE, timings)
    return None if ratio is None else ratio.value


def _rates(key: str, timings: Timings) -> list[tuple[str, float]]:
    return [
        (workload, summarise(samples, Workload.parse(workload), 1, intervals=False).frames_per_s)
        for (owner, workload), samples in timings.items()
        if owner == key
    ]


def _ties(best: Trial, other: Trial, known: Evidence, prefer: str) -> bool:
    if prefer == "size":
        return _score(best, known, prefer) == _score(other, known, prefer)
    if prefer == "accuracy":
        return _as_accurate(best, other, known)
    workload = _decisive(best, known.timings, prefer)
    ratio = pair_ratio(best.candidate.key, other.candidate.key, workload, known.timings)
    return ratio is None or ratio.tie


def _as_accurate(one: Trial, other: Trial, known: Evidence) -> bool:
    """Whether the interval of two Candidates' paired difference of mAP50-95 holds 0.

    Without resamples: whether the intervals of their differences to the reference overlap.
    """
    pair = [known.resamples.get(trial.candidate.key, {}).get("map50_95") for trial in (one, other)]
    if pair[0] is not None and pair[1] is not None:
        low, high = interval(pair[0] - pair[1])
        return low <= 0 <= high
    nothing = Estimate(value=0.0, low=0.0, high=0.0)
    own, its = (trial.map_delta or nothing for trial in (one, other))
    return own.low <= its.high and its.low <= own.high


def _decisive(best: Trial, timings: Timings, prefer: str) -> str:
    """Return the Workload that the preference is about."""
    return SINGLE if prefer == "latency" else max(_rates(best.candidate.key, timings), key=lambda pair: pair[1])[0]


def pair_ratio(slow: str, fast: str, workload: str, timings: Timings) -> Ratio | None:
    """Return `slow`'s time over `fast`'s for one Workload, from the rounds that both were in."""
    pair: list[WorkloadSamples | None] = [timings.get((key, workload)) for key in (slow, fast)]
    if pair[0] is None or pair[1] is None:
        return None
    return speedup(pair[0].medians, pair[1].medians)
