"""How many cameras hold, from what each level measured, and which level to measure next; pure.

A *level* is a number of cameras. It holds if no more frames violate the SLO than the percentile allows: for p99, one
in a hundred. Dropped frames are violations. Frames within a repetition share its phases and its disturbances, so the
interval comes from resampling whole repetitions (cluster bootstrap), each level by itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

REPETITIONS = 5  # of a level, at least, before it is told
GENERATIONS = 3  # of processes, at most; every level near the answer is measured in two
HOPELESS = 3  # repetitions of which none holds by itself: the level is none that might hold
BEYOND = 4  # frames beyond the percentile, as `judge.enough_samples` has it: a p99 needs 400
REPETITION_S, QUICK_REPETITION_S, LONGEST_S = 2.0, 1.0, 10.0
SLOS, INTERVALS = 50, 20  # that a repetition lasts at least: an overload of 1 in 50 takes so long to break the SLO
LIMIT = 1024  # cameras; more is a matter for another kind of test
REACH = 4  # levels to either side of the answer, ever farther, that are measured for the interval's sake
DOUBT = 2  # times as many repetitions of the levels next to the answer, where they might as well be otherwise
RESAMPLES = 4000
LEVEL = 0.95  # of the interval


class Tally(NamedTuple):
    """One repetition of one level."""

    generation: int
    frames: int
    violations: int  # late or dropped


Tallies = Mapping[int, Sequence[Tally]]  # by number of cameras


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """The largest number of cameras that holds, with its 95% interval."""

    cameras: int | None  # None: the smallest level that could be told does not hold, and it is not 1
    low: int
    high: int | None  # None: no level was measured that bounds it
    settled: bool  # one camera more was measured and does not hold


def frames_needed(percentile: float) -> int:
    """Return how many frames a percentile takes."""
    return math.ceil(BEYOND / (min(percentile, 100 - percentile) / 100) - 1e-6)


def shortest_s(fps: float, slo_ms: float, *, quick: bool) -> float:
    """Return how long a repetition lasts at least.

    It begins with an empty queue. Frames that come u times as fast as they are served wait (u - 1) t after t seconds,
    so a short repetition would take an overload for a level that holds.
    """
    if quick:
        return max(QUICK_REPETITION_S, SLOS / 2 * slo_ms / 1000, INTERVALS / 2 / fps)
    return max(REPETITION_S, SLOS * slo_ms / 1000, INTERVALS / fps)


def frames_per_camera(cameras: int, fps: float, slo_ms: float, percentile: float, *, quick: bool) -> int:
    """Return the frames of each camera in one repetition: enough of them in all repetitions, within reason."""
    wanted_s = min(LONGEST_S, frames_needed(percentile) / (REPETITIONS * cameras * fps))
    return max(1, math.ceil(max(shortest_s(fps, slo_ms, quick=quick), wanted_s) * fps - 1e-6))


def repetitions_needed(frames: int, percentile: float) -> int:
    """Return how many repetitions of so many frames a level takes."""
    return max(REPETITIONS, math.ceil(frames_needed(percentile) / frames))


def holds(frames: float, violations: float, percentile: float) -> bool:
    """Whether the percentile of the latencies is within the SLO.

    The percentile is the smallest latency that at least so many percent do not exceed (no interpolation: nothing lies
    between a latency and a frame that was dropped).
    """
    return violations <= frames * (100 - percentile) / 100 + 1e-9


def told(tallies: Sequence[Tally], percentile: float) -> bool:
    """Whether a level has enough repetitions and frames to say whether it holds."""
    return len(tallies) >= REPETITIONS and sum(one.frames for one in tallies) >= frames_needed(percentile)


def decide(tallies: Tallies, percentile: float, seed: int) -> Capacity | None:
    """Return the answer from the levels that can be told; `None` if there are none.

    The interval: `low` is the largest level that, with all smaller ones measured, holds in at least 97.5% of the
    resamples, `high` the largest that does in at least 2.5%. A level with fewer repetitions bounds `high` too if each
    of three or more, by itself, does not hold. Below the smallest level measured all are taken to hold only if that
    one does; a level of no cameras always holds.
    """
    levels = sorted(n for n, some in tallies.items() if told(some, percentile))
    if not levels:
        return None
    share = chances({n: tallies[n] for n in levels}, percentile, seed)
    best = 0 if levels[0] == 1 else None
    for n in levels:
        if not _pooled(tallies[n], percentile):
            break
        best = n
    low = max((n for n in levels if share[n] >= (1 + LEVEL) / 2), default=0)
    beyond = [n for n in levels if share[n] < (1 - LEVEL) / 2]
    beyond += [n for n, some in tallies.items() if n > levels[0] and _hopeless(some, percentile)]
    high = min(beyond) - 1 if beyond else None
    if best is not None:
        low = min(low, best)
        high = None if high is None else max(high, best)
    settled = best is not None and (best + 1 in levels or best == LIMIT)
    return Capacity(cameras=best, low=low, high=high, settled=settled)


def chances(tallies: Tallies, percentile: float, seed: int) -> dict[int, float]:
    """Return for each level the share of resamples in which it and all smaller ones given hold."""
    rng = np.random.default_rng(seed)
    so_far: npt.NDArray[np.bool_] = np.ones(RESAMPLES, np.bool_)
    share = {}
    for n in sorted(tallies):
        some = tallies[n]
        frames, violations = np.array([one.frames for one in some]), np.array([one.violations for one in some])
        rows = rng.integers(len(some), size=(RESAMPLES, len(some)))
        allowed = frames[rows].sum(1) * (100 - percentile) / 100 + 1e-9
        so_far = so_far & (violations[rows].sum(1) <= allowed)
        share[n] = float(so_far.mean())
    return share


@dataclass(kw_only=True)
class Search:
    """Which levels of one Candidate and number of streams to measure next, one repetition each.

    First single repetitions: from `start` in growing steps, then halving, until a level seems to hold and the next does
    not. Those two, and as many beside them as the interval needs, are then measured in full, over two generations. What
    a single repetition seemed to say is corrected on the way: all repetitions of a level count.
    """

    percentile: float
    start: int
    seed: int
    tallies: dict[int, list[Tally]] = field(default_factory=dict)

    def wanted(self, generation: int) -> list[int]:
        """Return the levels that want a repetition now; none: this generation has done its part."""
        low, high = self.bracket()
        step = self._step(low, high)
        return [step] if step is not None else self._near(low, high, generation)

    def bracket(self) -> tuple[int, int | None]:
        """Return the largest level that seems to hold as all smaller ones do, and the smallest that seems not to."""
        low = 0
        for n in sorted(self.tallies):
            if not _pooled(self.tallies[n], self.percentile):
                return low, n
            low = n
        return low, None

    def missing(self) -> dict[int, int]:
        """Return how many repetitions the two levels of the bracket still need before they are told."""
        short = {}
        for n in self.bracket():
            if n:
                some = self.tallies[n]
                short[n] = max(0, repetitions_needed(some[0].frames, self.percentile) - len(some))
        return short

    def _step(self, low: int, high: int | None) -> int | None:
        """Return the next level to look at; `None`: the bracket is closed."""
        if not self.tallies:
            return min(LIMIT, max(1, self.start))
        if high is None:
            return None if low >= LIMIT else min(LIMIT, low + max(0, low - self.start) + 1)
        if high == low + 1:
            return None
        if low == 0:  # nothing holds yet: down, in growing steps
            return min(high - 1, max(1, high - max(0, self.start - high) - 1))
        return (low + high) // 2

    def _near(self, low: int, high: int | None, generation: int) -> list[int]:
        """Return the levels that decide the answer and its interval, as far as they want repetitions."""
        beside = [n for n in (low, high) if n is not None and n >= 1]
        wanted = [n for n in beside if not self._enough(n, generation)]
        if wanted:
            return wanted
        full = {n: some for n, some in self.tallies.items() if self._enough(n, generation)}
        share = {0: 1.0, **chances(full, self.percentile, self.seed)}
        sure_low, sure_high = (1 + LEVEL) / 2, (1 - LEVEL) / 2
        wanted = [n for n in beside if sure_high <= share[n] < sure_low and not self._enough(n, generation, DOUBT)]
        for end, direction in ((low, -1), (LIMIT if high is None else high, 1)):
            n = end
            for step in range(REACH):
                in_doubt = share[n] < sure_low if direction < 0 else share[n] >= sure_high
                following = end + direction * 2**step
                if not in_doubt or not 1 <= following <= LIMIT:
                    break
                n = following
                if n not in share:
                    wanted.append(n)
                    break
        return sorted(wanted)

    def _enough(self, n: int, generation: int, times: int = 1) -> bool:
        some = self.tallies.get(n, ())
        if not some:
            return False
        needed = times * repetitions_needed(some[0].frames, self.percentile)
        of = [one.generation for one in some]
        if len(of) >= needed and (len(set(of)) > 1 or generation >= GENERATIONS - 1):
            return True
        return generation < GENERATIONS - 1 and of.count(generation) >= math.ceil(needed / 2)


def _hopeless(tallies: Sequence[Tally], percentile: float) -> bool:
    return len(tallies) >= HOPELESS and not any(_pooled([one], percentile) for one in tallies)


def _pooled(tallies: Sequence[Tally], percentile: float) -> bool:
    return holds(sum(one.frames for one in tallies), sum(one.violations for one in tallies), percentile)
