"""Who else uses the CPUs: busy time, steal time, and what is left of it when our own processes are taken off."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from bakeoff.speed.telemetry.base import NAN, Probe, reason
from bakeoff.speed.telemetry.cpu import one_a_core

BUSY, OTHERS, STEAL, SWITCHES = "cpu_busy_share", "cpu_others_share", "cpu_steal_share", "context_switches"
TICK_NS = 10_000_000  # /proc/stat counts in hundredths of a second, whatever the kernel's own tick is (USER_HZ)
# One look is off by up to a tick for each CPU and counter. Over 0.2 s that is 5% at worst, half of the share that
# counts as busy; over 1 s a single tick of steal on one CPU is 1%, half of that one. Shorter windows look back so far.
LOAD_LOOK_BACK_NS = 200_000_000
STEAL_LOOK_BACK_NS = 1_000_000_000
STANDS_STILL = 0.5  # of the elapsed time: gVisor and some containers show counters that never move


class Reading(NamedTuple):
    """One look at the counters, each a sum over the usable CPUs."""

    at_ns: int
    idle_ns: int
    steal_ns: int
    all_ns: int
    switches: int  # of the whole machine
    own_ns: int


class LoadProbe(Probe):
    """Shares of the cores that this process may use; from /proc/stat's lines of those CPUs alone."""

    def __init__(
        self,
        root: Path,
        cpus: Sequence[int],
        own_ns: Callable[[], int] | None = None,
        steal_look_back_ns: int = STEAL_LOOK_BACK_NS,
    ) -> None:
        """Look at `cpus`; `own_ns` tells our own processes' CPU time (default: this one's and the watched ones')."""
        super().__init__()
        self._steal_look_back_ns = steal_look_back_ns
        self.own = OwnTime()
        self._own_ns = own_ns or self.own.total_ns
        self._names = {b"cpu%d" % cpu for cpu in cpus}
        self._cpus = len(self._names)
        self._cores = len(one_a_core(root / "sys/devices/system/cpu", cpus))
        self._looks: deque[Reading] = deque()
        threads = "" if self._cores == self._cpus else f" ({self._cpus} CPUs)"
        where = f"/proc/stat, {self._cores} usable core{'s' if self._cores > 1 else ''}{threads}"
        try:
            self._stat = self.open(root / "proc/stat")
            self._look(0)
        except (OSError, ValueError) as error:
            self.unknown.update(dict.fromkeys((BUSY, OTHERS, STEAL, SWITCHES), f"/proc/stat: {reason(error)}"))
            return
        self.sources = {
            BUSY: where,
            OTHERS: f"{where}, less our own processes' CPU clocks",
            STEAL: where,
            SWITCHES: "/proc/stat ctxt, of the whole machine",
        }

    def begin(self, now_ns: int) -> None:
        """See `Probe.begin`."""
        self._looks.clear()
        self.read(now_ns)

    def read(self, now_ns: int) -> dict[str, float]:
        """See `Probe.read`; a share looks back further than the last call where that was too short ago to tell."""
        if not self.sources:
            return {}
        try:
            now = self._look(now_ns)
        except (OSError, ValueError) as error:
            for quantity in list(self.sources):
                self.lose(quantity, reason(error))
            return {}
        last = self._looks[-1] if self._looks else None
        load, steal = self._back(now_ns, LOAD_LOOK_BACK_NS), self._back(now_ns, self._steal_look_back_ns)
        self._looks.append(now)
        while len(self._looks) > 1 and now_ns - self._looks[1].at_ns >= self._steal_look_back_ns:
            self._looks.popleft()
        if load is not None and now.all_ns - load.all_ns < STANDS_STILL * (now_ns - load.at_ns) * self._cpus:
            for quantity in (BUSY, OTHERS, STEAL):
                self.lose(quantity, "the counters of /proc/stat stand still here, as in some sandboxes")
        found = {
            BUSY: NAN if load is None else self._share(self._busy_ns(load, now), load, now),
            OTHERS: NAN
            if load is None
            else self._share(self._busy_ns(load, now) - (now.own_ns - load.own_ns), load, now),
            STEAL: NAN if steal is None else (now.steal_ns - steal.steal_ns) / ((now_ns - steal.at_ns) * self._cpus),
            SWITCHES: NAN if last is None else float(now.switches - last.switches),
        }
        return {quantity: found[quantity] if quantity in self.sources else NAN for quantity in found}

    def _busy_ns(self, since: Reading, now: Reading) -> int:
        """Wall time less idle time: kernels measure idling exactly, and sample who was busy only at each tick."""
        wall = (now.at_ns - since.at_ns) * self._cpus
        return wall - (now.idle_ns - since.idle_ns) - (now.steal_ns - since.steal_ns)

    def _share(self, spent_ns: int, since: Reading, now: Reading) -> float:
        """As a share of the physical cores: what two threads of one core do is at most that core."""
        return min(1.0, max(0.0, spent_ns / ((now.at_ns - since.at_ns) * self._cores)))

    def _back(self, now_ns: int, least_ns: int) -> Reading | None:
        """Return the youngest look that is old enough."""
        return next((look for look in reversed(self._looks) if now_ns - look.at_ns >= least_ns), None)

    def _look(self, now_ns: int) -> Reading:
        idle = steal = everything = found = 0
        content = self._stat.bytes()
        lines = content.split(b"\n", max(os.cpu_count() or 1, self._cpus) + 1)  # not the long line of interrupts
        for line in lines:
            fields = line.split()
            if fields and fields[0] in self._names:
                # user nice system idle iowait irq softirq steal; guest is in user already (proc(5))
                numbers = [int(word) for word in fields[1:9]]
                if len(numbers) < 8:
                    raise ValueError(f"{line[:40]!r} has fewer than eight counters")
                idle += numbers[3] + numbers[4]
                steal += numbers[7]
                everything += sum(numbers)
                found += 1
        if found < self._cpus:
            raise ValueError(f"it has {found} of our {self._cpus} CPUs")
        _, _, after = content.partition(b"\nctxt ")
        switches = int(after.split(b"\n", 1)[0])
        return Reading(now_ns, idle * TICK_NS, steal * TICK_NS, everything * TICK_NS, switches, self._own_ns())


class OwnTime:
    """CPU time of this process, its children that have ended, and the living ones that are watched."""

    def __init__(self, clock_ns: Callable[[int], int] | None = None) -> None:
        self._clock_ns = clock_ns or cpu_clock_ns
        self._seen: dict[int, int] = {}

    def watch(self, pid: int) -> None:
        """Count a child from now on."""
        self._seen.setdefault(pid, 0)

    def unwatch(self, pid: int) -> None:
        """Note that a child ends. Until it is gone its clock still counts; then the kernel has it (RUSAGE_CHILDREN).

        Dropping a living child's clock here would count it twice as soon as it is waited for.
        """
        with contextlib.suppress(OSError):
            self._clock_ns(pid)
            return
        self._seen.pop(pid, None)

    def total_ns(self) -> int:
        """Return the sum so far, nanoseconds."""
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = time.process_time_ns() + int((ended.ru_utime + ended.ru_stime) * 1e9)
        for pid, before in list(self._seen.items()):
            now = None
            with contextlib.suppress(OSError):
                now = self._clock_ns(pid)
            if now is None or now < before:  # it is gone, or another process has its number now
                del self._seen[pid]
                continue
            self._seen[pid] = now
            spent += now
        return spent


def cpu_clock_ns(pid: int) -> int:
    """Return the CPU time of a process and all its threads; the clock's number is the kernel's (CPUCLOCK_SCHED).

    Raises:
        OSError: there is no such process.
    """
    return time.clock_gettime_ns((~pid << 3) | 2)
