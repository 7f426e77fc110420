"""Speed of one Candidate in two Runs: as it was taken, and with the machine's drift cancelled (decision 0025)."""

from __future__ import annotations

from bakeoff.records import SpeedChange, Trial
from bakeoff.speed.samples import Timings, log_speedup
from bakeoff.stats import LogRatio, Ratio


def device_refused(a: Trial, b: Trial) -> str:
    """Return why this Candidate's speed is not compared: its Sessions ran on another device."""
    if a.session is None or b.session is None or a.session.device == b.session.device:
        return ""
    return f"on {a.session.device} in A, on {b.session.device} in B"


def change(
    who: tuple[str, str],
    medians_ms: tuple[float | None, float | None],
    timings: tuple[Timings, Timings],
    reference: str,
    untested: str,
    *,
    alike: bool,
) -> SpeedChange:
    """Return how one Candidate's speed at one Workload differs.

    Args:
        who: its key, and the Workload.
        medians_ms: its median latency in A and in B.
        timings: the samples of A and of B.
        reference: the key of the reference of both, if they have the same.
        untested: why drift can't be cancelled; empty: the reference is the same in both.
        alike: whether speeds may be compared at all; where not, the ratio stands without any interval.
    """
    a_ms, b_ms = medians_ms
    value = a_ms / b_ms if a_ms and b_ms else None
    if value is None or not alike:
        return SpeedChange(a_ms=a_ms, b_ms=b_ms, ratio=value, untested=untested)
    times = [_own(side, who) for side in timings]
    if times[0] is None or times[1] is None:
        return SpeedChange(a_ms=a_ms, b_ms=b_ms, ratio=value, untested=untested or "no samples are kept")
    taken = times[0].over(times[1]).ratio
    free: Ratio | None = None
    if not untested:
        free, untested = _drift_free(who, timings, reference)
    return SpeedChange(
        a_ms=a_ms,
        b_ms=b_ms,
        ratio=taken.value,
        ratio_low=taken.low,
        ratio_high=taken.high,
        drift_free=None if free is None else free.value,
        drift_free_low=None if free is None else free.low,
        drift_free_high=None if free is None else free.high,
        untested=untested,
    )


def _drift_free(who: tuple[str, str], timings: tuple[Timings, Timings], reference: str) -> tuple[Ratio | None, str]:
    """Return B's speedup over A's, and why it has no interval."""
    key, workload = who
    if key == reference:
        return None, "it is the reference, by which drift is told"
    ours, theirs = (_speedup(side, key, workload, reference) for side in timings)
    if ours is None or theirs is None:
        return None, "it shares no round with the reference"
    found = theirs.over(ours).ratio
    return found, "" if found.low is not None else "too few rounds or generations of processes"


def _own(timings: Timings, who: tuple[str, str]) -> LogRatio | None:
    """Return a Candidate's time in nanoseconds, as a ratio to one nanosecond."""
    samples = timings.get(who)
    return None if samples is None else log_speedup(samples.medians, samples.medians.constant())


def _speedup(timings: Timings, key: str, workload: str, reference: str) -> LogRatio | None:
    pair = timings.get((reference, workload)), timings.get((key, workload))
    return None if pair[0] is None or pair[1] is None else log_speedup(pair[0].medians, pair[1].medians)
