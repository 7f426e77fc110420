"""Who is timed when: groups that fit in memory, generations of processes, rounds in a shuffled order."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bakeoff.records import Workload

BLOCK = 4  # counted predictions a stream: many short blocks beat few long ones (docs/timing.md)
QUICK_ROUNDS = 6
GENERATIONS = 3  # memory layout differs from load to load; contract 3
MEMORY_SHARE = 0.7  # of what is available, for the processes of one group
UNKNOWN_BYTES = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One round of one Workload in one generation."""

    generation: int
    round: int
    workload: Workload
    count: int  # counted predictions a stream in each block
    first_frame: int


def rounds_needed(workload: Workload, frames: int, *, quick: bool) -> int:
    """Return the rounds after which every Candidate has ceil(N / B) counted predictions a stream."""
    rounds = math.ceil(math.ceil(frames / workload.batch) / BLOCK)
    return min(rounds, QUICK_ROUNDS) if quick else rounds


def turns(needed: Mapping[Workload, int], first_generation: int, first_round: int) -> Iterator[list[Turn]]:
    """Yield the turns of each generation; the Workloads take turns within it."""
    generations = max(1, min(GENERATIONS - first_generation, max(needed.values(), default=0)))
    number = first_round
    given = dict.fromkeys(needed, 0)
    for g in range(generations):
        share = {w: round(n * (g + 1) / generations) - given[w] for w, n in needed.items()}
        plan = []
        for step in range(max(share.values(), default=0)):
            for workload, rounds in share.items():
                if step < rounds:
                    plan.append(
                        Turn(
                            generation=first_generation + g,
                            round=number,
                            workload=workload,
                            count=BLOCK,
                            first_frame=number * (BLOCK + 1) * workload.batch * workload.streams,
                        )
                    )
                    number += 1
                    given[workload] += 1
        yield plan


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
