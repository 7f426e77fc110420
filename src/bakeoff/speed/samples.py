"""Timing samples as they are kept, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bakeoff.records import Workload
from bakeoff.speed.streams import BlockSamples
from bakeoff.stats import P99_SAMPLES, Ratio, paired_ratio, percentile

MS = 1e-6  # of a nanosecond


@dataclass(frozen=True, kw_only=True)
class WorkloadSamples:
    """All blocks of one Candidate and Workload: R rounds, S streams, k counted predictions; nanoseconds."""

    generation: npt.NDArray[np.int32]  # (R,)
    round: npt.NDArray[np.int32]  # (R,), counted over the whole Run: equal numbers pair Candidates
    pre_ns: npt.NDArray[np.int64]  # (R, S, k)
    run_ns: npt.NDArray[np.int64]
    post_ns: npt.NDArray[np.int64]
    span_ns: npt.NDArray[np.int64]  # (R, S)

    @property
    def latency_ns(self) -> npt.NDArray[np.int64]:
        """Latency of each prediction (R, S, k)."""
        return self.pre_ns + self.run_ns + self.post_ns

    @property
    def block_medians_ns(self) -> npt.NDArray[np.float64]:
        """Each round's median latency (R,)."""
        return np.asarray(np.median(self.latency_ns.reshape(len(self.round), -1), axis=1))

    def arrays(self) -> dict[str, npt.NDArray[np.int32] | npt.NDArray[np.int64]]:
        """Return the fields by name, as stored."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def gather(cls, blocks: list[tuple[int, int, BlockSamples]]) -> WorkloadSamples:
        """Stack blocks given as (generation, round, samples)."""
        return cls(
            generation=np.array([generation for generation, _, _ in blocks], np.int32),
            round=np.array([number for _, number, _ in blocks], np.int32),
            pre_ns=np.stack([block.pre_ns for _, _, block in blocks]),
            run_ns=np.stack([block.run_ns for _, _, block in blocks]),
            post_ns=np.stack([block.post_ns for _, _, block in blocks]),
            span_ns=np.stack([block.span_ns for _, _, block in blocks]),
        )

    def followed_by(self, later: WorkloadSamples) -> WorkloadSamples:
        """Return these rounds and later ones together."""
        own, more = self.arrays(), later.arrays()
        return WorkloadSamples(**{name: np.concatenate((own[name], more[name])) for name in own})  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Latency:
    """What a Workload's samples say, in milliseconds; `p99_ms` only from 400 samples on."""

    samples: int
    median_ms: float
    mean_ms: float
    p95_ms: float
    p99_ms: float | None
    worst_ms: float
    pre_ms: float
    run_ms: float
    post_ms: float
    frames_s: float  # wall time of N frames a stream
    frames_per_s: float
    outliers: int  # beyond 5 median absolute deviations; counted, never removed


def summarise(samples: WorkloadSamples, workload: Workload, frames: int) -> Latency:
    """Derive a Workload's figures; `frames` is N, the frames a stream that `frames_s` stands for."""
    latency = samples.latency_ns.ravel() * MS
    median = float(np.median(latency))
    deviation = np.abs(latency - median)
    predictions = samples.span_ns.size * samples.latency_ns.shape[2]
    per_prediction_s = float(samples.span_ns.sum()) * 1e-9 / predictions
    return Latency(
        samples=latency.size,
        median_ms=median,
        mean_ms=float(latency.mean()),
        p95_ms=percentile(latency, 95),
        p99_ms=percentile(latency, 99) if latency.size >= P99_SAMPLES else None,
        worst_ms=float(latency.max()),
        pre_ms=float(np.median(samples.pre_ns)) * MS,
        run_ms=float(np.median(samples.run_ns)) * MS,
        post_ms=float(np.median(samples.post_ns)) * MS,
        frames_s=per_prediction_s * -(-frames // workload.batch),
        frames_per_s=workload.streams * workload.batch / per_prediction_s,
        outliers=int((deviation > 5 * 1.4826 * np.median(deviation)).sum()),
    )


def speedup(reference: WorkloadSamples, candidate: WorkloadSamples) -> Ratio | None:
    """Return how many times faster the candidate is, from the rounds that both were in; `None` without any."""
    common, ours, theirs = np.intersect1d(reference.round, candidate.round, return_indices=True)
    if not len(common):
        return None
    return paired_ratio(reference.block_medians_ns[ours], candidate.block_medians_ns[theirs])


Timings = Mapping[tuple[str, str], WorkloadSamples]  # by Candidate key and Workload
