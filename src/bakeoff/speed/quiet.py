"""Waiting until this process's own threads are at rest, so that they disturb nobody's next block.

Runtimes keep their threads spinning after a prediction, in case another follows at once: ONNX Runtime for about 50 ms.
With two processes of one 2 ms network on 2 cores, a prediction took 2.8 ms right after the other's block, and 1.9 ms
after a pause (benchmarks/results/rest.json).
"""

from __future__ import annotations

import contextlib
import os
import threading
import time

LIMIT_NS = 1_000_000_000  # a runtime that spins longer than that spins for ever; the next block has to live with it
PAUSE_S = 0.001
TASKS = "/proc/self/task"


def wait_until_quiet(limit_ns: int = LIMIT_NS) -> int:
    """Sleep until no other thread of this process runs, or the limit is over; where the system can't tell, don't.

    Returns:
        How long that took, in nanoseconds; -1: the system doesn't tell.
    """
    start = time.perf_counter_ns()
    if not os.path.isdir(TASKS):
        return -1
    while (waited := time.perf_counter_ns() - start) < limit_ns and _others_run():
        time.sleep(PAUSE_S)
    return waited


def _others_run() -> bool:
    own = str(threading.get_native_id())
    with contextlib.suppress(OSError):
        for task in os.listdir(TASKS):
            if task != own and _state(task) == b"R":
                return True
    return False


def _state(task: str) -> bytes:
    """Return a thread's state; R is running, or ready to."""
    try:
        fd = os.open(f"{TASKS}/{task}/stat", os.O_RDONLY)
    except OSError:  # it ended
        return b""
    try:
        return os.read(fd, 256).rpartition(b")")[2].split()[0]  # a name in parentheses, of any characters, then this
    finally:
        os.close(fd)
