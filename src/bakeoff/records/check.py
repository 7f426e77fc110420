"""What `bakeoff convert --check` says of a Model before anything is converted."""

from __future__ import annotations

from bakeoff.records.base import Record


class Problem(Record, frozen=True, kw_only=True):
    """One thing in a Model's graph that a runtime will not take, or takes badly."""

    node: str  # its name in the graph; empty where it concerns the whole
    what: str
    cure: str
    fatal: bool  # whether nothing can be built because of it
