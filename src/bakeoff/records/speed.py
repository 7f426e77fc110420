"""What is known of a Candidate's speed beside the samples themselves."""

from __future__ import annotations

from bakeoff.records.base import Record


class WarmUp(Record, frozen=True, kw_only=True):
    """How one process warmed up for one Workload."""

    generation: int
    workload: str
    block_medians_ms: tuple[float, ...]
    settled: bool
