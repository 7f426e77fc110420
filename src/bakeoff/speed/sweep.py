"""What a sweep over settings and Workloads says: points, the frontier, and which settings beat the default; pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bakeoff.records import Estimate, Sweep, SweepPoint, Workload
from bakeoff.speed.samples import BlockMedians, Timings, WorkloadSamples, speedup, summarise
from bakeoff.stats import Ratio

SINGLE = "1x1"
BATCHES = (1, 2, 4)
MOST = 64  # frames at once: as many streams as a Workload takes, and a block's frames stay within memory


def grid(cores: int) -> tuple[Workload, ...]:
    """Return the Workloads swept by default: 1, 2, 4, … streams up to the cores (2 at least), batches of 1, 2 and 4.

    No more than 64 frames at once.
    """
    most = min(MOST, max(2, cores))
    streams = [1 << i for i in range(most.bit_length()) if 1 << i <= most]
    return tuple(Workload(streams=s, batch=b) for s in streams for b in BATCHES if s * b <= MOST)


def points(plain: str, timings: Timings) -> tuple[SweepPoint, ...]:
    """Return what the samples of one plain Candidate and its settings say, in the order given.

    Rounds of equal number pair, over Workloads too: a setting's frames/s anywhere are held against the plain form's at
    the Workload where that has the most.
    """
    latencies = {who: summarise(samples, Workload.parse(who[1]), 1) for who, samples in timings.items()}
    own = [who for who in timings if who[0] == plain]
    most = max(own, key=lambda who: latencies[who].frames_per_s, default=None)
    found = []
    for who, samples in timings.items():
        key, workload = who
        beside = None if key == plain else timings.get((plain, workload))
        found.append(
            SweepPoint(
                key=key,
                workload=workload,
                samples=latencies[who].samples,
                latency_ms=latencies[who].median_ms,
                latency_interval_ms=latencies[who].intervals.get("median_ms"),
                p95_ms=latencies[who].p95_ms,
                frames_per_s=latencies[who].frames_per_s,
                speedup=None if beside is None else _estimate(speedup(beside.medians, samples.medians)),
                gain=None if key == plain or most is None else _estimate(_gain(timings, most, who)),
            )
        )
    return tuple(found)


def _gain(timings: Timings, plain: tuple[str, str], own: tuple[str, str]) -> Ratio | None:
    """Return the frames/s of one over those of another, from the rounds that both were in."""
    return speedup(*(_per_frame(timings[who], Workload.parse(who[1])) for who in (plain, own)))


def _per_frame(samples: WorkloadSamples, workload: Workload) -> BlockMedians:
    """Return each round's wall time of one frame, all streams together."""
    frames = workload.streams * workload.batch * samples.latency_ns.shape[2]
    return BlockMedians(
        generation=samples.generation, round=samples.round, median_ns=samples.span_ns.mean(axis=1) / frames
    )


def _estimate(ratio: Ratio | None) -> Estimate | None:
    if ratio is None or ratio.low is None or ratio.high is None:
        return None
    return Estimate(value=ratio.value, low=ratio.low, high=ratio.high)


def frontier(points: Sequence[SweepPoint]) -> frozenset[tuple[str, str]]:
    """Return which points, by key and Workload, no other beats in latency without losing frames/s, or the reverse.

    By the figures as they stand: neighbours may well tie.
    """
    return frozenset(
        (one.key, one.workload)
        for one in points
        if not any(
            other.latency_ms <= one.latency_ms
            and other.frames_per_s >= one.frames_per_s
            and (other.latency_ms, other.frames_per_s) != (one.latency_ms, one.frames_per_s)
            for other in points
        )
    )


@dataclass(frozen=True, kw_only=True)
class Best:
    """The best setting for a purpose, and how it stands to the plain form; without a ratio it is the plain form."""

    point: SweepPoint
    ratio: Estimate | None

    @property
    def sure(self) -> bool:
        """Whether it beats the plain form beyond doubt: the whole interval of the paired ratio lies above 1."""
        return self.ratio is not None and self.ratio.low > 1


def best_latency(sweep: Sweep, workload: str = SINGLE) -> Best | None:
    """Return the setting of lowest latency at a Workload; `None` where that was not swept."""
    there = [one for one in sweep.points if one.workload == workload]
    return _best(sweep.key, [(one, one.speedup) for one in there], there)


def best_throughput(sweep: Sweep, workloads: Collection[str] | None = None) -> Best | None:
    """Return the setting of most frames/s, at any Workload or at some; `None` where none was swept."""
    there = [one for one in sweep.points if workloads is None or one.workload in workloads]
    return _best(sweep.key, [(one, one.gain) for one in there], sorted(there, key=lambda one: -one.frames_per_s))


def _best(
    plain: str, rated: Sequence[tuple[SweepPoint, Estimate | None]], best_first: Sequence[SweepPoint]
) -> Best | None:
    """Return the largest ratio of those beyond doubt; without any, of all that are above 1; else the plain form."""
    known = [Best(point=point, ratio=ratio) for point, ratio in rated if ratio is not None and ratio.value > 1]
    sure = [one for one in known if one.sure]
    if sure or known:
        return max(sure or known, key=lambda one: 0.0 if one.ratio is None else one.ratio.value)
    return next((Best(point=point, ratio=None) for point in best_first if point.key == plain), None)


def winners(sweep: Sweep, target: float, workloads: Collection[str]) -> list[str]:
    """Return the keys of the settings worth a Trial of their own: at most one for latency and one for throughput.

    Args:
        sweep: of one plain Candidate.
        target: share by which one must be faster than the plain form, beyond doubt besides.
        workloads: those that the Trials are timed at.
    """
    found = [best_latency(sweep) if SINGLE in workloads else None, best_throughput(sweep, workloads)]
    keys = [
        best.point.key
        for best in found
        if best is not None and best.sure and best.ratio is not None and best.ratio.value > 1 + target
    ]
    return list(dict.fromkeys(keys))
