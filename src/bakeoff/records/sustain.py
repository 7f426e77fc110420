"""What a Candidate does under load that goes on for minutes."""

from __future__ import annotations

from bakeoff.records.base import Estimate, Record


class SustainedWindow(Record, frozen=True, kw_only=True):
    """One stretch of predictions, back to back."""

    begin_s: float  # since the load began
    seconds: float
    frames: int
    p50_ms: float
    p95_ms: float
    frames_per_s: float
    telemetry: dict[str, float] = {}  # means over the window of what the host tells, by quantity
    throttled: bool | None = None  # by the host's own counters; None: it has none


class Sustained(Record, frozen=True, kw_only=True):
    """1x1 predictions without a pause, in one process."""

    asked_s: float
    seconds: float
    complete: bool  # False: interrupted, or the child failed
    frames: int
    p50_ms: float  # of the last tenth of the time
    drift: Estimate | None = None  # last tenth's time over the first tenth's; None: too short for an interval
    throttling: str = "unknown"  # `counters`, `latency`, `none` or `unknown`: what tells that it throttled, if it did
    throttled_at_s: float | None = None  # when that began
    evidence: str = ""  # in words: which counters, or how much latency rose
    windows: tuple[SustainedWindow, ...] = ()
    sources: dict[str, str] = {}  # telemetry quantity -> where it comes from
    unknown: dict[str, str] = {}  # telemetry quantity -> why it could not be told
