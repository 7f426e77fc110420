"""Predictions back to back for minutes: one stretch of them in the child, and what all stretches say; the rest is pure.

A stretch is about a second of predictions without a pause. Between two stretches the parent looks at the machine, which
takes about a millisecond; nothing waits for the runtime's threads to come to rest, as it does between blocks.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from bakeoff.data.images import Frame
from bakeoff.records import Estimate, Sustained, SustainedWindow
from bakeoff.speed.streams import Predictor
from bakeoff.stats import LEVEL, standard_error

MS = 1e-6  # of a nanosecond
PREFIX = "sustained/"
WINDOWS = 100  # about as many; a curve, not a cloud
STRETCH_S = 1.0  # at most
TENTH = 0.1  # of the time, at either end: what drift compares
LEAST_RISE = 1.05  # a smaller lasting rise of latency is no sign of throttling: machines drift by a few percent
CERTAIN = 0.01  # share of shuffled series that may show as clear a step
SHUFFLES = 999
CHUNKS = 12  # pieces of what the step does not explain that are shuffled whole: neighbours resemble each other

Floats = npt.NDArray[np.float64]


def predict_for(
    predictor: Predictor,
    frames: Sequence[Frame],
    seconds: float,
    first: int,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> tuple[list[int], int]:
    """Predict frame by frame, from number `first` on, until the time is over; at least once.

    Returns:
        Each prediction's latency, and the wall time of all, nanoseconds.
    """
    latencies: list[int] = []
    begin = now = clock()
    end = begin + round(seconds * 1e9)
    while now < end or not latencies:
        times = predictor.predict([frames[(first + len(latencies)) % len(frames)]])[1]
        latencies.append(times.pre_ns + times.run_ns + times.post_ns)
        now = clock()
    return latencies, now - begin


@dataclass(frozen=True, kw_only=True)
class SustainedSamples:
    """All stretches of one Candidate: B stretches, N predictions; nanoseconds."""

    latency_ns: npt.NDArray[np.int64]  # (N,)
    count: npt.NDArray[np.int64]  # (B,), predictions of each stretch
    begin_ns: npt.NDArray[np.int64]  # (B,), since the first one began, by the parent's clock
    span_ns: npt.NDArray[np.int64]  # (B,), wall time of a stretch
    window: npt.NDArray[np.int64]  # (B,), number of the telemetry window that it lies in; -1: none

    @classmethod
    def of(cls, latencies: Sequence[int], begin_ns: int, span_ns: int, window: int) -> SustainedSamples:
        """Take one stretch."""
        return cls(
            latency_ns=np.array(latencies, np.int64),
            count=np.array([len(latencies)], np.int64),
            begin_ns=np.array([begin_ns], np.int64),
            span_ns=np.array([span_ns], np.int64),
            window=np.array([window], np.int64),
        )

    @classmethod
    def join(cls, stretches: Sequence[SustainedSamples]) -> SustainedSamples:
        """Return many as one."""
        parts = [stretch.arrays() for stretch in stretches]
        return replace(stretches[0], **{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the fields by name, as stored."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @property
    def seconds(self) -> float:
        """From the first stretch's begin to the last one's end."""
        return float(self.begin_ns[-1] + self.span_ns[-1]) * 1e-9

    @property
    def medians_ms(self) -> Floats:
        """Each stretch's median latency (B,)."""
        parts = np.split(self.latency_ns, np.cumsum(self.count)[:-1])
        return np.array([float(np.median(part)) for part in parts]) * MS


def stretch_s(asked_s: float) -> float:
    """Return how long one stretch takes: a second, or less where the whole takes less than windows of that."""
    return min(STRETCH_S, asked_s / WINDOWS)


def arrays(key: str, samples: SustainedSamples, telemetry: Mapping[str, npt.NDArray[Any]]) -> dict[str, Any]:
    """Return one Candidate's samples by the names under which they are stored."""
    own = {f"{PREFIX}{key}/{name}": array for name, array in samples.arrays().items()}
    return own | {f"{PREFIX}{key}/telemetry/{name}": array for name, array in telemetry.items()}


def answer(
    samples: SustainedSamples,
    asked_s: float,
    telemetry: Mapping[str, npt.NDArray[Any]],
    sources: Mapping[str, str],
    unknown: Mapping[str, str],
    *,
    complete: bool,
    seed: int,
) -> Sustained:
    """Derive what one Candidate's load says.

    Args:
        samples: all stretches.
        asked_s: how long the load should have gone on.
        telemetry: `Telemetry.windows()`: an array (W,) for each quantity; empty where there is none.
        sources: quantity -> where it comes from.
        unknown: quantity -> why it can't be told.
        complete: it went on for so long.
        seed: of the shuffles.
    """
    can_tell = [name for name in sources if _counts_throttling(name)]
    windows = _windows(samples, telemetry, can_tell=bool(can_tell))
    end = samples.begin_ns + samples.span_ns > (1 - TENTH) * samples.seconds * 1e9
    last = samples.latency_ns[np.repeat(end, samples.count)]
    throttling, at_s, evidence = _throttling(windows, {name: sources[name] for name in can_tell}, seed)
    return Sustained(
        asked_s=asked_s,
        complete=complete,
        seconds=samples.seconds,
        frames=int(samples.count.sum()),
        p50_ms=float(np.median(last)) * MS,
        drift=drift(samples),
        throttling=throttling,
        throttled_at_s=at_s,
        evidence=evidence,
        windows=windows,
        sources=dict(sources),
        unknown=dict(unknown),
    )


def drift(samples: SustainedSamples) -> Estimate | None:
    """Return the last tenth's latency over the first tenth's, from the stretches' medians, with a t interval.

    Stretches resemble their neighbours, so the standard errors are those of correlated series (`stats.paired_ratio`).
    """
    middle = samples.begin_ns + samples.span_ns / 2
    whole = samples.seconds * 1e9
    logs = np.log(samples.medians_ms)
    first, last = logs[middle <= TENTH * whole], logs[middle >= (1 - TENTH) * whole]
    if min(len(first), len(last)) < 3:
        return None
    value = float(last.mean() - first.mean())
    error = math.hypot(standard_error(first)[0], standard_error(last)[0])
    half = error * float(special.stdtrit(min(len(first), len(last)) - 1, 0.5 + LEVEL / 2))
    return Estimate(value=math.exp(value), low=math.exp(value - half), high=math.exp(value + half))


def step(series: Sequence[float], seed: int) -> tuple[int, float] | None:
    """Return where a series rises for good, and by which factor; `None` where no such step can be told from noise.

    The split with the largest difference of mean logs, scaled by the root of both parts' sizes (CUSUM). It must be a
    rise of 5% or more, and clearer than in 99% of series made of what remains without it, in pieces of a random order:
    block permutation of residuals (Kirch, Journal of Statistical Planning and Inference 137, 2007). The pieces of the
    series itself would not do: those with the step within the first of them show it again whenever that comes first.
    """
    logs = np.log(np.asarray(series, np.float64))
    if len(logs) < 2 * CHUNKS:
        return None
    at, height = _split(logs)
    rise = math.exp(float(logs[at:].mean() - logs[:at].mean()))
    if rise < LEAST_RISE:
        return None
    rng = np.random.default_rng(seed)
    level = np.where(np.arange(len(logs)) < at, logs[:at].mean(), logs[at:].mean())
    pieces = np.array_split((logs - level) * math.sqrt(len(logs) / (len(logs) - 2)), CHUNKS)
    clearer = 1
    for _ in range(SHUFFLES):
        order = rng.permutation(CHUNKS)
        clearer += _split(np.concatenate([pieces[i] for i in order]))[1] >= height
    return (at, rise) if clearer / (SHUFFLES + 1) <= CERTAIN else None


def _split(logs: Floats) -> tuple[int, float]:
    n = len(logs)
    at = np.arange(1, n)
    before = np.cumsum(logs)[:-1]
    difference = (logs.sum() - before) / (n - at) - before / at
    height = difference * np.sqrt(at * (n - at) / n)
    best = int(np.argmax(height))
    return best + 1, float(height[best])


def _windows(
    samples: SustainedSamples, telemetry: Mapping[str, npt.NDArray[Any]], *, can_tell: bool
) -> tuple[SustainedWindow, ...]:
    """Gather the stretches in windows of about equal length."""
    stretches = len(samples.count)
    ends = np.cumsum(samples.count)
    found = []
    for rows in np.array_split(np.arange(stretches), min(WINDOWS, stretches)):
        first, last = int(rows[0]), int(rows[-1])
        latency = samples.latency_ns[ends[first] - samples.count[first] : ends[last]] * MS
        seconds = float(samples.begin_ns[last] + samples.span_ns[last] - samples.begin_ns[first]) * 1e-9
        seen = np.unique(samples.window[first : last + 1])
        seen = seen[(seen >= 0) & (seen < len(telemetry.get("throttled", ())))]
        throttled = bool(telemetry["throttled"][seen].any()) if can_tell and len(seen) else None
        found.append(
            SustainedWindow(
                begin_s=float(samples.begin_ns[first]) * 1e-9,
                seconds=seconds,
                frames=len(latency),
                p50_ms=float(np.median(latency)),
                p95_ms=float(np.percentile(latency, 95)),
                frames_per_s=len(latency) / seconds,
                telemetry=_means(telemetry, seen),
                throttled=throttled,
            )
        )
    return tuple(found)


def _means(telemetry: Mapping[str, npt.NDArray[Any]], seen: npt.NDArray[np.int64]) -> dict[str, float]:
    """Return what telemetry's windows tell: means, sums of what is counted, and the power of energy counters."""
    found: dict[str, float] = {}
    for name, array in telemetry.items():
        if name.endswith("_mask"):  # of reasons: they don't add up
            continue
        if array.dtype != np.float64 or not len(seen) or not np.isfinite(array[seen]).any():
            continue
        known = seen[np.isfinite(array[seen])]
        if name.endswith("_energy_j"):
            seconds = float((telemetry["end_ns"] - telemetry["start_ns"])[known].sum()) * 1e-9
            found.setdefault(name.replace("_energy_j", "_power_w"), float(array[known].sum()) / seconds)
        elif _counts_throttling(name):
            found[name] = float(array[known].sum())
        else:
            found[name] = float(array[known].mean())
    return found


def _counts_throttling(quantity: str) -> bool:
    return "throttl" in quantity


def _of_hardware(quantity: str) -> bool:
    """Whether a counter is of the hardware; the others are of a container's CPU quota."""
    return not quantity.startswith("cgroup")


def _throttling(
    windows: Sequence[SustainedWindow], sources: Mapping[str, str], seed: int
) -> tuple[str, float | None, str]:
    """Return what tells of throttling, when it began, and the evidence in words.

    `sources` are the host's counters of throttling, with where they come from.
    """
    counters = "; ".join(sources.values())
    first = next((window for window in windows if window.throttled), None)
    if first is not None:
        return "counters", first.begin_s, f"the host's counters: {counters}"
    saw = [f"the host's counters ({counters}) saw none"] if sources else []
    if not any(_of_hardware(quantity) for quantity in sources):
        saw.append("this host has no throttle counter of its hardware")
    change = step([window.p50_ms for window in windows], seed)
    if change is not None:
        at, rise = change
        return "latency", windows[at].begin_s, "; ".join([f"the median latency rose {rise:.2f} times for good", *saw])
    told = "none" if any(_of_hardware(quantity) for quantity in sources) else "unknown"
    return told, None, "; ".join(["no lasting rise of latency stands out of its noise", *saw])
