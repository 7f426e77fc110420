"""Telemetry: windows of time between two samples, and what each window was like."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bakeoff.speed.telemetry import cgroup, cpu, jetson, load, nvidia
from bakeoff.speed.telemetry.base import NAN, Probe
from bakeoff.speed.telemetry.rapl import RaplProbe

# The target of the issue: measured, telemetry costs under 0.5% of what it watches.
COST_SHARE = 0.005
TIMES = round(1 / COST_SHARE)
# The next sample is taken to cost as much as the slowest of so many before it: on an H100 the median is 4 ms, and one
# in twenty takes 15.
RECENT = 16
# Half of what a paired ratio of 20 rounds can tell apart here (5%), if others slow us down in proportion to the share
# of the cores that they take. Below 5% the counters themselves can be off (see `load`).
BUSY_SHARE = 0.10
# Time that the hypervisor gave to others while we wanted to run: the whole of it is ours to lose. 1% is one tick.
STEAL_SHARE = 0.02
# NVML's times held back are counters of nanoseconds; what is below a millisecond costs a window nothing.
LEAST_THROTTLED_MS = 1.0


class Cost(NamedTuple):
    """What telemetry itself took."""

    spent_s: float
    share: float | None  # of the windows' time; None before any has passed
    samples: int


class Telemetry:
    """Samples between blocks; a context manager.

    A window is the time between two samples. After a block a sample is taken only where it leaves the cost below 0.5%
    of the time watched, and where the sample that began the window is below 0.5% of the window. So long blocks get a
    window each, and short ones share one.
    """

    def __init__(self, probes: Sequence[Probe], clock: Callable[[], int] = time.monotonic_ns) -> None:
        """Take `probes` that are open already; `open` chooses them. `clock` is in nanoseconds."""
        self._probes = list(probes)
        self._clock = clock
        self._own = next((probe.own for probe in probes if isinstance(probe, load.LoadProbe)), None)
        self._quantities = [quantity for probe in probes for quantity in probe.sources]
        self._rows: list[dict[str, float]] = []
        self._spans: list[tuple[int, int, bool]] = []
        self._owners: set[str] = set()
        self._since: int | None = None  # when the open window began; None: there is none
        self._due_ns = 0  # when a sample is affordable
        self._seen_ns = 0  # when the last block ended
        self._recent_ns: deque[int] = deque(maxlen=RECENT)  # what samples cost
        self._watched_ns = 0  # of all windows that have ended
        self._spent_ns = 0
        self._samples = 0

    @classmethod
    def open(
        cls, device: str = "cpu", root: Path = Path("/"), clock: Callable[[], int] = time.monotonic_ns
    ) -> Telemetry:
        """Open every probe that fits `device` (`cpu`, `cuda`, `cuda:1`, …). What can't be told is in `unknown`.

        `root` is the machine's, for tests with a tree of their own.
        """
        cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
        probes: list[Probe] = [
            load.LoadProbe(root, cpus),  # first: it is the one that hurries
            cgroup.CgroupProbe(root),
            cpu.CpuProbe(root, cpus),
            RaplProbe(root),
        ]
        kind, _, index = device.partition(":")
        gpu = kind in ("cuda", "gpu", "nvidia")
        board = jetson.is_jetson(root)
        if board:
            probes.append(jetson.JetsonProbe(root, gpu=gpu))
        elif gpu:
            probes.append(nvidia.NvidiaProbe(int(index) if index.isdecimal() else 0))
        return cls(probes, clock)

    def __enter__(self) -> Telemetry:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def sources(self) -> dict[str, str]:
        """Quantity -> where it comes from."""
        return {quantity: source for probe in self._probes for quantity, source in probe.sources.items()}

    @property
    def unknown(self) -> dict[str, str]:
        """Quantity -> why it can't be told here, and the cure where there is one."""
        return {quantity: why for probe in self._probes for quantity, why in probe.unknown.items()}

    @property
    def cost(self) -> Cost:
        """Seconds spent so far, and their share of the time in windows."""
        watched = self._watched_ns + (0 if self._since is None else max(0, self._seen_ns - self._since))
        return Cost(self._spent_ns * 1e-9, self._spent_ns / watched if watched else None, self._samples)

    def watch(self, pid: int) -> None:
        """Count a child's CPU time as our own. Call it when the child has started."""
        if self._own is not None:
            self._own.watch(pid)

    def unwatch(self, pid: int) -> None:
        """Note that a child has ended, or is about to."""
        if self._own is not None:
            self._own.unwatch(pid)

    def start(self) -> None:
        """Begin a window now; one that is open and holds blocks ends first, any other is forgotten."""
        self.stop()
        now = self._clock()
        for probe in self._probes:
            probe.begin(now)
        self._since = now
        self._sampled(now)

    def stop(self) -> None:
        """End the open window now, if it holds blocks: what follows until `start` belongs to none."""
        if self._since is not None and self._owners:
            self._sample(self._clock())
        self._since, self._owners = None, set()

    def after_block(self, owner: str) -> int:
        """Note that a block of `owner` has just ended, and sample if that is cheap enough.

        Call it outside every timed region. Returns the number of the window that the block lies in.

        Raises:
            RuntimeError: `start` was not called before.
        """
        if self._since is None:
            raise RuntimeError("Telemetry.after_block without a window; call start() first")
        now = self._seen_ns = self._clock()
        number = len(self._rows)
        self._owners.add(owner)
        if now >= self._due_ns:
            self._sample(now)
        else:  # nothing but this much: with cold caches each line more is a microsecond
            cost = self._clock() - now
            self._spent_ns += cost
            self._due_ns += cost * TIMES
        return number

    def windows(self) -> dict[str, npt.NDArray[Any]]:
        """Return one entry a window, each array (W,); the open window ends first, if it holds blocks.

        `start_ns` and `end_ns` by the clock; every quantity that was told at the beginning, NaN where it was not in
        that window; and as bool `owner_pure` (blocks of one owner only), `busy` and `throttled`.
        """
        if self._since is not None and self._owners:
            self._sample(self._clock())
        found: dict[str, npt.NDArray[Any]] = {
            "start_ns": np.array([start for start, _, _ in self._spans], np.int64),
            "end_ns": np.array([end for _, end, _ in self._spans], np.int64),
        }
        for quantity in self._quantities:
            found[quantity] = np.array([row.get(quantity, NAN) for row in self._rows], np.float64)
        found["owner_pure"] = np.array([pure for _, _, pure in self._spans], np.bool_)
        found["busy"] = np.array([busy(row) for row in self._rows], np.bool_)
        found["throttled"] = np.array([throttled(row) for row in self._rows], np.bool_)
        return found

    def close(self) -> None:
        """End the open window and let go of files and libraries; `windows` can still be asked."""
        self.stop()
        for probe in self._probes:
            probe.close()

    def _sample(self, now: int) -> None:
        """End the open window at `now` and begin the next one there."""
        row: dict[str, float] = {}
        for probe in self._probes:
            row.update(probe.read(now))
        assert self._since is not None
        self._rows.append(row)
        self._spans.append((self._since, now, len(self._owners) == 1))
        self._watched_ns += now - self._since
        self._since, self._owners = now, set()
        self._sampled(now)

    def _sampled(self, since: int) -> None:
        """Account for a sample that began then, and find out when the next one is affordable.

        That is when this one is below the share of the window that it begins, and when all so far and the next one
        are below the share of all windows.
        """
        cost = self._clock() - since
        self._spent_ns += cost
        self._samples += 1
        self._recent_ns.append(cost)
        in_all = (self._spent_ns + max(self._recent_ns)) * TIMES - self._watched_ns
        self._due_ns = since + max(cost * TIMES, in_all)


def busy(row: Mapping[str, float]) -> bool:
    """Whether others took more of the machine in this window than a timing bears; unknown counts as no."""
    return row.get(load.OTHERS, NAN) > BUSY_SHARE or row.get(load.STEAL, NAN) > STEAL_SHARE


def throttled(row: Mapping[str, float]) -> bool:
    """Whether something held the CPU or the GPU back in this window; unknown counts as no."""
    events = (cgroup.THROTTLED, cpu.THROTTLE, jetson.THROTTLE)
    mask = row.get(nvidia.THROTTLE, NAN)
    return (
        any(row.get(quantity, NAN) > 0 for quantity in events)
        or row.get(nvidia.THROTTLED, NAN) > LEAST_THROTTLED_MS
        or (mask == mask and bool(nvidia.throttle_words(int(mask))))
    )
