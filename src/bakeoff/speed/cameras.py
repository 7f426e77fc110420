"""Camera samples as they are kept, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bakeoff.records import CameraLevel, Cameras
from bakeoff.speed import capacity
from bakeoff.speed.arrivals import Served

MS = 1e-6  # of a nanosecond
PREFIX = "cameras/"


@dataclass(frozen=True, kw_only=True)
class LevelSamples:
    """All repetitions of one level: R repetitions, C cameras, k frames of each; nanoseconds.

    Frame j of camera c is due at `phase_ns[r, c] + j * interval`. Where it was dropped, both times are infinite.
    """

    generation: npt.NDArray[np.int32]  # (R,)
    phase_ns: npt.NDArray[np.int64]  # (R, C)
    wait_ns: npt.NDArray[np.float64]  # (R, C, k), from the scheduled arrival until a stream took it
    latency_ns: npt.NDArray[np.float64]  # (R, C, k), from the scheduled arrival to Detections
    slept: npt.NDArray[np.bool_]  # (R, C, k), a stream was idle when it came

    @classmethod
    def of(cls, generation: int, served: Served) -> LevelSamples:
        """Take one repetition."""
        return cls(
            generation=np.array([generation], np.int32),
            phase_ns=served.phase_ns[None],
            wait_ns=served.wait_ns[None],
            latency_ns=served.latency_ns[None],
            slept=served.slept[None],
        )

    def followed_by(self, later: LevelSamples) -> LevelSamples:
        """Return these repetitions and later ones together."""
        own, more = self.arrays(), later.arrays()
        return replace(self, **{name: np.concatenate((own[name], more[name])) for name in own})

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the fields by name, as stored."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def tallies(self, slo_ms: float) -> list[capacity.Tally]:
        """Count each repetition's violations: frames that were late or dropped."""
        late = (self.latency_ns * MS > slo_ms).reshape(len(self.generation), -1).sum(1)
        frames = self.latency_ns[0].size
        pairs = zip(self.generation.tolist(), late.tolist(), strict=True)
        return [capacity.Tally(generation, frames, violations) for generation, violations in pairs]


Levels = Mapping[tuple[int, int], LevelSamples]  # of one Candidate, by streams and cameras


def percentile_ms(latency_ns: npt.NDArray[np.float64], percent: float) -> float | None:
    """Return the smallest latency that at least so many percent do not exceed; `None` where it is infinite.

    Without interpolation: it is within the SLO exactly where `capacity.holds` says so.
    """
    value = float(np.percentile(latency_ns, percent, method="inverted_cdf")) * MS
    return value if np.isfinite(value) else None


def level(streams: int, samples: LevelSamples, slo_ms: float, percentile: float) -> CameraLevel:
    """Derive one level's figures."""
    latency = samples.latency_ns.ravel()
    done = np.isfinite(latency)
    tallies = samples.tallies(slo_ms)
    frames, violations = latency.size, sum(one.violations for one in tallies)
    slept = samples.wait_ns[samples.slept]
    known = capacity.told(tallies, percentile)
    return CameraLevel(
        streams=streams,
        cameras=samples.phase_ns.shape[1],
        repetitions=len(tallies),
        generations=len({one.generation for one in tallies}),
        frames=frames,
        late=violations - int((~done).sum()),
        dropped=int((~done).sum()),
        percentile_ms=percentile_ms(latency, percentile) if known else None,
        median_ms=percentile_ms(latency, 50),
        service_ms=float(np.median(latency[done] - samples.wait_ns.ravel()[done])) * MS,
        wake_up_ms=float(np.percentile(slept, 99)) * MS if slept.size else None,
        holds=capacity.holds(frames, violations, percentile) if known else None,
    )


def answer(levels: Levels, fps: float, slo_ms: float, percentile: float, *, seed: int) -> Cameras:
    """Return how many cameras one Candidate serves: the answer of its best number of streams, the fewest of equals."""
    figures = tuple(level(streams, samples, slo_ms, percentile) for (streams, _), samples in sorted(levels.items()))
    seconds = sum(samples.latency_ns.shape[0] * samples.latency_ns.shape[2] for samples in levels.values()) / fps
    best: tuple[int, capacity.Capacity] | None = None
    near = None
    for streams in sorted({streams for streams, _ in levels}):
        tallies = {n: samples.tallies(slo_ms) for (s, n), samples in levels.items() if s == streams}
        seems = capacity.Search(percentile=percentile, start=1, seed=seed, tallies=tallies).bracket()[0]
        near = seems if near is None else max(near, seems)
        one = capacity.decide(tallies, percentile, seed)
        if one is not None and (best is None or _rank(one) > _rank(best[1])):
            best = streams, one
    whole = Cameras(fps=fps, slo_ms=slo_ms, percentile=percentile, near=near, seconds=seconds, levels=figures)
    if best is None:
        return whole
    streams, found = best
    return msgspec.structs.replace(
        whole, cameras=found.cameras, low=found.low, high=found.high, streams=streams, settled=found.settled
    )


def _rank(one: capacity.Capacity) -> tuple[int, int]:
    return (-1 if one.cameras is None else one.cameras, one.low)


def arrays(key: str, levels: Levels) -> dict[str, npt.NDArray[Any]]:
    """Return one Candidate's samples by the names under which they are stored."""
    return {
        f"{PREFIX}{key}:{streams}:{cameras}/{name}": array
        for (streams, cameras), samples in levels.items()
        for name, array in samples.arrays().items()
    }


def read(samples: Mapping[str, npt.NDArray[Any]]) -> dict[str, dict[tuple[int, int], LevelSamples]]:
    """Return the levels of each Candidate key from stored samples; others are passed over."""
    found: dict[str, dict[tuple[int, int], dict[str, npt.NDArray[Any]]]] = {}
    for name, array in samples.items():
        if name.startswith(PREFIX):
            who, _, field = name.removeprefix(PREFIX).rpartition("/")
            key, streams, cameras = who.rsplit(":", 2)
            found.setdefault(key, {}).setdefault((int(streams), int(cameras)), {})[field] = array
    return {key: {at: LevelSamples(**parts) for at, parts in levels.items()} for key, levels in found.items()}


def searches(
    levels: Levels, streams: Sequence[int], starts: Mapping[int, int], slo_ms: float, percentile: float, seed: int
) -> dict[int, capacity.Search]:
    """Return the search of each number of streams, as far as it came."""
    return {
        s: capacity.Search(
            percentile=percentile,
            start=starts[s],
            seed=seed,
            tallies={n: samples.tallies(slo_ms) for (of, n), samples in levels.items() if of == s},
        )
        for s in streams
    }
