"""Timing samples as they are kept, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from bakeoff.records import Workload
from bakeoff.speed.streams import BlockSamples
from bakeoff.stats import (
    P99_SAMPLES,
    TAILS,
    LogRatio,
    Ratio,
    drawn_rounds,
    paired_log,
    percentile,
    percentile_intervals,
    resampled_percentiles,
)

MS = 1e-6  # of a nanosecond
MIN_ROUNDS = 6  # fewer make a bootstrap interval that means nothing


@dataclass(frozen=True, kw_only=True)
class BlockMedians:
    """Median latencies of one Candidate's blocks for one Workload, one a round (R,)."""

    generation: npt.NDArray[np.int32]
    round: npt.NDArray[np.int32]  # counted over the whole Run: equal numbers pair Candidates
    median_ns: npt.NDArray[np.float64]

    @classmethod
    def of(cls, rows: Sequence[tuple[int, int, float]]) -> BlockMedians:
        """Take rows of (generation, round, median)."""
        columns = list(zip(*rows, strict=True)) if rows else [(), (), ()]
        return cls(
            generation=np.array(columns[0], np.int32),
            round=np.array(columns[1], np.int32),
            median_ns=np.array(columns[2], np.float64),
        )

    def constant(self) -> BlockMedians:
        """Return 1 ns in the same rounds: the ratio to it is the time itself."""
        return replace(self, median_ns=np.ones_like(self.median_ns))


@dataclass(frozen=True, kw_only=True)
class Block:
    """One block, and where it stood."""

    generation: int
    round: int
    window: int
    samples: BlockSamples


@dataclass(frozen=True, kw_only=True)
class WorkloadSamples:
    """All blocks of one Candidate and Workload: R rounds, S streams, k counted predictions; nanoseconds."""

    generation: npt.NDArray[np.int32]  # (R,)
    round: npt.NDArray[np.int32]  # (R,), counted over the whole Run: equal numbers pair Candidates
    pre_ns: npt.NDArray[np.int64]  # (R, S, k)
    run_ns: npt.NDArray[np.int64]
    post_ns: npt.NDArray[np.int64]
    span_ns: npt.NDArray[np.int64]  # (R, S)
    rest_ns: npt.NDArray[np.int64]  # (R,), how long the threads kept running after a block; -1: unknown
    window: npt.NDArray[np.int64]  # (R,), the window of telemetry that the block lies in; -1: none

    @property
    def latency_ns(self) -> npt.NDArray[np.int64]:
        """Latency of each prediction (R, S, k)."""
        return self.pre_ns + self.run_ns + self.post_ns

    @property
    def block_medians_ns(self) -> npt.NDArray[np.float64]:
        """Each round's median latency (R,)."""
        return np.asarray(np.median(self.latency_ns.reshape(len(self.round), -1), axis=1))

    @property
    def medians(self) -> BlockMedians:
        """Each round's median latency, with its round and generation."""
        return BlockMedians(generation=self.generation, round=self.round, median_ns=self.block_medians_ns)

    def arrays(self) -> dict[str, npt.NDArray[np.int32] | npt.NDArray[np.int64]]:
        """Return the fields by name, as stored."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def gather(cls, blocks: Sequence[Block]) -> WorkloadSamples:
        """Stack the blocks of one Candidate and Workload."""
        samples = [block.samples for block in blocks]
        return cls(
            generation=np.array([block.generation for block in blocks], np.int32),
            round=np.array([block.round for block in blocks], np.int32),
            pre_ns=np.stack([one.pre_ns for one in samples]),
            run_ns=np.stack([one.run_ns for one in samples]),
            post_ns=np.stack([one.post_ns for one in samples]),
            span_ns=np.stack([one.span_ns for one in samples]),
            rest_ns=np.array([one.rest_ns for one in samples], np.int64),
            window=np.array([block.window for block in blocks], np.int64),
        )

    def followed_by(self, later: WorkloadSamples) -> WorkloadSamples:
        """Return these rounds and later ones together."""
        own, more = self.arrays(), later.arrays()
        return WorkloadSamples(**{name: np.concatenate((own[name], more[name])) for name in own})  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Worst:
    """The slowest counted prediction, and where it stood."""

    ms: float
    generation: int
    round: int


@dataclass(frozen=True, kw_only=True)
class Latency:
    """What is known of a Workload's speed, in milliseconds; `None`: unknown, as much is of somebody else's figures."""

    samples: int | None
    rounds: int | None
    median_ms: float
    mean_ms: float | None
    p95_ms: float | None
    p99_ms: float | None  # only from 400 samples on
    worst: Worst | None
    jitter_ms: float | None  # mean absolute difference of one prediction's latency and the next one's
    pre_ms: float | None
    run_ms: float | None
    post_ms: float | None
    frames_s: float | None  # wall time of N frames a stream
    frames_per_s: float | None
    rest_ms: float | None  # median time that the process's threads kept running after a block
    outliers: int | None  # beyond 5 median absolute deviations; counted, never removed
    intervals: Mapping[str, tuple[float, float]]  # of median_ms, p95_ms, p99_ms, frames_per_s; none of few rounds

    @property
    def missing_for_p99(self) -> int | None:
        """How many more samples a p99 needs."""
        return None if self.samples is None else max(0, P99_SAMPLES - self.samples)


@dataclass(frozen=True, kw_only=True)
class Measured(Latency):
    """What a Workload's samples say."""

    samples: int
    rounds: int
    mean_ms: float
    p95_ms: float
    worst: Worst
    pre_ms: float
    run_ms: float
    post_ms: float
    frames_s: float
    frames_per_s: float
    outliers: int


def summarise(samples: WorkloadSamples, workload: Workload, frames: int, *, intervals: bool = True) -> Measured:
    """Derive a Workload's figures; `frames` is N, the frames a stream that `frames_s` stands for."""
    by_round = samples.latency_ns * MS
    latency = by_round.ravel()
    median = float(np.median(latency))
    deviation = np.abs(latency - median)
    predictions = samples.span_ns.size * samples.latency_ns.shape[2]
    per_prediction_s = float(samples.span_ns.sum()) * 1e-9 / predictions
    slowest = int(by_round.reshape(len(by_round), -1).max(axis=1).argmax())
    known_rest = samples.rest_ns[samples.rest_ns >= 0]
    enough = latency.size >= P99_SAMPLES
    return Measured(
        samples=latency.size,
        rounds=len(samples.round),
        median_ms=median,
        mean_ms=float(latency.mean()),
        p95_ms=percentile(latency, 95),
        p99_ms=percentile(latency, 99) if enough else None,
        worst=Worst(
            ms=float(latency.max()),
            generation=int(samples.generation[slowest]),
            round=int(samples.round[slowest]),
        ),
        jitter_ms=float(np.abs(np.diff(by_round, axis=2)).mean()) if by_round.shape[2] > 1 else None,
        pre_ms=float(np.median(samples.pre_ns)) * MS,
        run_ms=float(np.median(samples.run_ns)) * MS,
        post_ms=float(np.median(samples.post_ns)) * MS,
        frames_s=per_prediction_s * -(-frames // workload.batch),
        frames_per_s=workload.streams * workload.batch / per_prediction_s,
        rest_ms=float(np.median(known_rest)) * MS if len(known_rest) else None,
        outliers=int((deviation > 5 * 1.4826 * np.median(deviation)).sum()),
        intervals=_intervals(samples, workload, p99=enough) if intervals else {},
    )


def _intervals(samples: WorkloadSamples, workload: Workload, *, p99: bool) -> dict[str, tuple[float, float]]:
    """Return 95% intervals by a bootstrap over rounds; the samples of one block are correlated."""
    rounds = len(samples.round)
    if rounds < MIN_ROUNDS:
        return {}
    latency = samples.latency_ns.reshape(rounds, -1) * MS
    percents = {"median_ms": 50.0, "p95_ms": 95.0} | ({"p99_ms": 99.0} if p99 else {})
    counts = drawn_rounds(samples.generation)
    found = dict(zip(percents, percentile_intervals(latency, counts, list(percents.values())), strict=True))
    frames = workload.streams * workload.batch * samples.latency_ns.shape[2]
    spans_s = samples.span_ns.mean(axis=1) * 1e-9
    low, high = np.percentile(frames * rounds / (counts @ spans_s), TAILS)
    return {**found, "frames_per_s": (float(low), float(high))}


def resampled_percentile(samples: WorkloadSamples, percent: float) -> npt.NDArray[np.floating[Any]] | None:
    """Return a percentile of latency, in ms, on each resample (B,) of its interval; `None` of too few rounds."""
    rounds = len(samples.round)
    if rounds < MIN_ROUNDS:
        return None
    latency = samples.latency_ns.reshape(rounds, -1) * MS
    return resampled_percentiles(latency, drawn_rounds(samples.generation), [percent])[0]


def speedup(reference: BlockMedians, candidate: BlockMedians) -> Ratio | None:
    """Return how many times faster the candidate is, from the rounds that both were in; `None` without any."""
    found = log_speedup(reference, candidate)
    return None if found is None else found.ratio


def log_speedup(reference: BlockMedians, candidate: BlockMedians) -> LogRatio | None:
    """Return the logarithm of `speedup`, to be set against another Run's."""
    common, ours, theirs = np.intersect1d(reference.round, candidate.round, return_indices=True)
    if not len(common):
        return None
    return paired_log(reference.median_ns[ours], candidate.median_ns[theirs], reference.generation[ours])


def half_width(ratio: Ratio) -> float | None:
    """Return half the width of a ratio's interval as a share of the ratio; `None` without an interval."""
    return None if ratio.low is None or ratio.high is None else math.sqrt(ratio.high / ratio.low) - 1


Timings = Mapping[tuple[str, str], WorkloadSamples]  # by Candidate key and Workload
