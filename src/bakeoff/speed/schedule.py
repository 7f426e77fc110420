"""Who is timed when: groups that fit in memory, generations of processes, rounds in a shuffled order, and how many."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bakeoff.records import Workload

BLOCK = 4  # counted predictions a stream: many short blocks beat few long ones (docs/timing.md)
QUICK_ROUNDS = 6
GENERATIONS = 3  # memory layout differs from load to load; contract 3
CHECK_EVERY = 5  # rounds of one Workload between two looks at the intervals
FURTHER_ROUNDS = 20  # at least, of a generation after the first ones
ENDS = ("precision", "frames", "time budget")  # why no more rounds followed, the surest first
GROUP_ROUNDS = 1_000_000  # rounds are numbered from here on in the next group: those of two groups never pair
MEMORY_SHARE = 0.7  # of what is available, for the processes of one group
UNKNOWN_BYTES = 1 << 30


def rounds_needed(workload: Workload, frames: int, *, quick: bool) -> int:
    """Return the rounds after which every Candidate has ceil(N / B) counted predictions a stream."""
    rounds = math.ceil(math.ceil(frames / workload.batch) / BLOCK)
    return min(rounds, QUICK_ROUNDS) if quick else rounds


def first_frame(workload: Workload, number: int) -> int:
    """Return the frame that a round's blocks begin with."""
    return number * (BLOCK + 1) * workload.batch * workload.streams


@dataclass(kw_only=True)
class Plan:
    """How many rounds each Workload of one group gets, decided while they go on.

    The rounds that N frames need are shared out over the first generations. Where an interval is then wider than asked,
    further generations follow, each with a third of the rounds so far: processes differ too, so more rounds of the same
    ones would not do. The time budget ends it all, but for a few rounds that everything gets.
    """

    base: Mapping[Workload, int]  # rounds that give N frames
    done: dict[Workload, int]
    target: float | None  # half width of an interval, as a share; None: the base is enough
    budget_s: float
    half_width: Callable[[Workload], float | None]  # of the widest interval so far, as a share; None: no interval
    spent_s: float = 0.0  # in blocks, and in starting further generations
    _goal: dict[Workload, int] = field(default_factory=dict)
    _checked: dict[Workload, tuple[int, bool]] = field(default_factory=dict)

    def begin(self, generation: int) -> list[Workload]:
        """Plan a generation from what is known before it, and return the Workloads that want a round of it."""
        left = GENERATIONS - generation  # of the first ones, this one included
        for workload, base in self.base.items():
            done = self.done[workload]
            share = math.ceil((base - done) / left) if left > 0 else 0
            self._goal[workload] = done + (share if share > 0 else max(FURTHER_ROUNDS, math.ceil(done / 3)))
        return self.wanting(generation)

    def wanting(self, generation: int) -> list[Workload]:
        """Return the Workloads that need a round of this generation now; none: it is over."""
        return [workload for workload in self.base if self._wants(workload, generation)]

    def expected(self) -> int:
        """Return how many rounds this generation has at most."""
        return sum(max(0, goal - self.done[workload]) for workload, goal in self._goal.items())

    def ended(self, workload: Workload) -> str:
        """Return why no more rounds followed: `precision`, `frames` or `time budget`."""
        width = self.half_width(workload)
        if self.target is not None and width is not None and width <= self.target:
            return "precision"
        if self.target is None and self.done[workload] >= self.base[workload]:
            return "frames"
        return "time budget"

    def _wants(self, workload: Workload, generation: int) -> bool:
        done, base = self.done[workload], self.base[workload]
        share = min(1.0, (generation + 1) / GENERATIONS)
        if done < math.ceil(min(QUICK_ROUNDS, base) * share):
            return True
        if done >= self._goal[workload] or self.spent_s >= self.budget_s * share:
            return False
        return done < base or not self._precise(workload)

    def _precise(self, workload: Workload) -> bool:
        if self.target is None:
            return True
        done = self.done[workload]
        looked_at, precise = self._checked.get(workload, (-CHECK_EVERY, False))
        if done >= looked_at + CHECK_EVERY:
            width = self.half_width(workload)
            precise = width is not None and width <= self.target
            self._checked[workload] = done, precise
        return precise


def shuffled(keys: Sequence[str], seed: int, number: int) -> list[str]:
    """Return the order of Candidates in one round: random, the same for a seed."""
    order = list(keys)
    random.Random(f"{seed}/{number}").shuffle(order)
    return order


def groups(
    keys: Sequence[str], reference: str, peak_bytes: Mapping[str, int | None], available_bytes: int
) -> list[list[str]]:
    """Split Candidates into groups whose processes fit in memory together, the reference in each."""
    room = available_bytes * MEMORY_SHARE - (peak_bytes.get(reference) or UNKNOWN_BYTES)
    result: list[list[str]] = [[reference]]
    used = 0.0
    for key in keys:
        if key == reference:
            continue
        need = peak_bytes.get(key) or UNKNOWN_BYTES
        if used + need > room and len(result[-1]) > 1:
            result.append([reference])
            used = 0.0
        result[-1].append(key)
        used += need
    return result
