"""What is known of a Candidate's speed beside the samples themselves."""

from __future__ import annotations

from bakeoff.records.base import Estimate, Record


class WarmUp(Record, frozen=True, kw_only=True):
    """How one process warmed up for one Workload."""

    generation: int
    workload: str
    block_medians_ms: tuple[float, ...]
    settled: bool


class SweepPoint(Record, frozen=True, kw_only=True):
    """One Candidate at one Workload, timed in a sweep beside the other settings of loading the same Artifact."""

    key: str
    workload: str
    samples: int  # counted predictions
    latency_ms: float  # the median
    latency_interval_ms: tuple[float, float] | None  # of 95%; None: too few rounds
    p95_ms: float
    frames_per_s: float
    speedup: Estimate | None = None  # the plain form's time over its own; None: itself, or too few rounds
    gain: Estimate | None = None  # frames/s over the plain form's where that has the most; None likewise


class Sweep(Record, frozen=True, kw_only=True):
    """What a sweep found of one Candidate and its settings of loading."""

    key: str  # the plain form's
    points: tuple[SweepPoint, ...]
    failures: dict[str, str] = {}  # a setting that could not be loaded or timed: key -> cause


class Shapes(Record, frozen=True, kw_only=True):
    """What `bakeoff tune` tries of one Candidate: its other shapes, then settings of loading of the best ones."""

    key: str  # the plain Candidate's, as its backend proposes it or as the user named it
    shapes: tuple[str, ...] = ()  # keys of the others; Trials of the Run too
    screened: Sweep | None = None  # the shapes beside each other; None: there is one alone, or not tried yet
    settled: bool = False  # nothing more is to be tried
    left_out: str | None = None  # why settings of loading were not tried
    seconds: float = 0.0  # that trying took, of the time budget
