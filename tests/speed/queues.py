"""Queues on a simulated clock: the real queue and schedule, servers whose time is computed, not spent."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np

from bakeoff.speed.arrivals import Queue, Schedule, Served

MS = 1_000_000


def simulate(schedule: Schedule, servers: int, service_ns: Callable[[int, int], int]) -> Served:
    """Serve a schedule; `service_ns(frame, begin_ns)` says how long each frame takes."""
    queue = Queue(schedule)
    due = schedule.due_ns.ravel()
    wait, latency = np.full(due.size, np.inf), np.full(due.size, np.inf)
    slept = np.zeros(due.size, np.bool_)
    free = [0] * servers
    while free:
        now = heapq.heappop(free)
        taken = queue.take(now)
        if taken is None:
            continue  # this server goes home
        frame, ready = taken
        begin = max(now, ready)
        slept[frame] = ready > now
        end = begin + service_ns(frame, begin)
        wait[frame], latency[frame] = begin - due[frame], end - due[frame]
        heapq.heappush(free, end)
    shape = (len(schedule.phase_ns), schedule.frames)
    return Served(
        phase_ns=schedule.phase_ns,
        wait_ns=wait.reshape(shape),
        latency_ns=latency.reshape(shape),
        slept=slept.reshape(shape),
    )
