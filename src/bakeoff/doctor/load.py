"""Who else uses the CPUs right now, and whether the hypervisor takes them away."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from bakeoff.doctor import linux
from bakeoff.records import Finding
from bakeoff.speed.telemetry import BUSY_SHARE, STEAL_SHARE
from bakeoff.speed.telemetry.load import OTHERS, STEAL, LoadProbe

WATCH_S = 0.5
MOST_NAMED = 3
LEAST_NAMED = 0.02  # of one core


def check(root: Path, sleep: Callable[[float], object] = time.sleep) -> list[Finding]:
    """Watch for half a second."""
    probe = LoadProbe(root, linux.usable_cpus(), steal_look_back_ns=int(WATCH_S * 1e9) // 2)
    try:
        probe.begin(time.monotonic_ns())
        before, start = processes(), time.monotonic()
        sleep(WATCH_S)
        shares = probe.read(time.monotonic_ns())
        after, seconds = processes(), time.monotonic() - start
    finally:
        probe.close()
    return [
        *judged_load(shares.get(OTHERS), probe.unknown.get(OTHERS), busiest(before, after, seconds)),
        *judged_steal(shares.get(STEAL)),
    ]


def judged_load(share: float | None, unknown: str | None, who: list[tuple[str, int, float]]) -> Iterator[Finding]:
    """Judge the others' share of the usable cores; `who` is (name, pid, share of one core)."""
    named = ", ".join(f"{name} (pid {pid}) {used:.0%} of a core" for name, pid, used in who)
    if share is None or share != share:
        yield Finding(level="note", topic="load", what=f"can't be told: {unknown or 'no reading'}")
    elif share > BUSY_SHARE:
        what = f"others use {share:.0%} of the usable cores right now" + (f": {named}" if named else "")
        pids = " ".join(str(pid) for _, pid, _ in who if _is_ours(pid))
        cure = f"wait until they are done, or hold them for the time being: kill -STOP {pids} (undo: kill -CONT {pids})"
        yield Finding(level="warning", topic="load", what=what, cure=cure if pids else "wait until they are done")
    else:
        yield Finding(level="ok", topic="load", what=f"others use {share:.0%} of the usable cores")


def judged_steal(share: float | None) -> Iterator[Finding]:
    """Judge the hypervisor's share of our time; a single tick in half a second is 2% of one CPU, and not above."""
    if share is not None and share > STEAL_SHARE:
        what = f"the hypervisor gave {share:.0%} of our CPU time to others in the last half second"
        cure = "a machine with dedicated cores; from inside nothing helps"
        yield Finding(level="warning", topic="steal", what=what, cure=cure)


def _is_ours(pid: int) -> bool:
    """Whether a process is this user's, so that it can be held."""
    try:
        return psutil.Process(pid).uids().real == os.getuid()
    except psutil.Error:
        return False


def processes() -> dict[tuple[int, float], tuple[str, float]]:
    """Return (pid, start time) -> (name, CPU seconds) of all processes but our own and those that we run in."""
    me = psutil.Process()
    own = {me.pid, *(child.pid for child in me.children(recursive=True)), *(above.pid for above in me.parents())}
    found = {}
    for process in psutil.process_iter(["pid", "name", "cpu_times", "create_time"]):
        times = process.info["cpu_times"]
        if process.info["pid"] not in own and times is not None:
            key = (process.info["pid"], process.info["create_time"])
            found[key] = (process.info["name"] or "?", times.user + times.system)
    return found


def busiest(
    before: dict[tuple[int, float], tuple[str, float]],
    after: dict[tuple[int, float], tuple[str, float]],
    seconds: float,
) -> list[tuple[str, int, float]]:
    """Return the processes that used most between two looks: name, pid, share of one core."""
    used = [
        (name, pid, (spent - before.get((pid, born), (name, spent))[1]) / seconds)
        for (pid, born), (name, spent) in after.items()
    ]
    return sorted((row for row in used if row[2] > LEAST_NAMED), key=lambda row: -row[2])[:MOST_NAMED]
