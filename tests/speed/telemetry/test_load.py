from __future__ import annotations

import math
import os
import subprocess
import sys

import pytest

from bakeoff.speed.telemetry.load import LoadProbe, OwnTime, cpu_clock_ns
from tests.speed.telemetry.trees import stat, write

S = 1_000_000_000


class Machine:
    """Two cores whose counters the test moves; hundredths of a second."""

    def __init__(self, root, cpus=(0, 1), every=(0, 1)):
        self.root, self.every = root, every
        self.ticks = {cpu: [1000, 10, 500, 90000, 20, 0, 5, 300] for cpu in every}
        self.own_ns, self.switches, self.now_ns = 0, 1000, 0
        self._write()
        self.probe = LoadProbe(root, cpus, lambda: self.own_ns)
        self.probe.begin(0)

    def _write(self):
        write(self.root, {"proc/stat": stat({cpu: tuple(row) for cpu, row in self.ticks.items()}, self.switches)})

    def after(self, seconds, busy=None, steal=0, own_s=0.0, switches=0):
        """Let time pass; `busy` says each CPU's share, the rest is idle."""
        for cpu in self.every:
            ticks = round(seconds * 100)
            used = round(ticks * (busy or {}).get(cpu, 0))
            self.ticks[cpu][0] += used
            self.ticks[cpu][7] += steal
            self.ticks[cpu][3] += ticks - used - steal
        self.own_ns += round(own_s * S)
        self.switches += switches
        self.now_ns += round(seconds * S)
        self._write()
        return self.probe.read(self.now_ns)


def test_what_is_not_ours_is_the_others(tmp_path):
    found = Machine(tmp_path).after(1, {0: 1.0, 1: 0.5}, own_s=1.1, switches=77)
    assert found["cpu_busy_share"] == pytest.approx(0.75)
    assert found["cpu_others_share"] == pytest.approx(0.2)
    assert found["cpu_steal_share"] == 0
    assert found["context_switches"] == 77


def test_a_neighbour_on_cores_that_are_not_ours_is_no_load(tmp_path):
    machine = Machine(tmp_path, cpus=(0, 1), every=range(64))
    found = machine.after(1, dict.fromkeys(range(2, 64), 1.0))
    assert found["cpu_others_share"] == 0
    assert found["cpu_busy_share"] == 0


def test_shares_are_of_physical_cores(tmp_path):
    siblings = {f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list": "0-1" for cpu in (0, 1)}
    machine = Machine(write(tmp_path, siblings))
    assert machine.after(1, {0: 0.3})["cpu_others_share"] == pytest.approx(0.3)  # of one core with two threads
    assert machine.after(1, {0: 1.0, 1: 1.0})["cpu_others_share"] == 1


def test_our_own_work_alone_is_no_load_even_where_clocks_disagree_by_a_tick(tmp_path):
    assert Machine(tmp_path).after(1, {0: 1.0, 1: 0.5}, own_s=1.51)["cpu_others_share"] == 0


def test_steal_is_a_share_of_all_usable_cpus(tmp_path):
    found = Machine(tmp_path).after(1, steal=5)
    assert found["cpu_steal_share"] == pytest.approx(0.05)
    assert found["cpu_others_share"] == 0


def test_short_windows_look_back_since_counters_are_coarse(tmp_path):
    machine = Machine(tmp_path)
    first = machine.after(0.05, {0: 1.0})
    assert math.isnan(first["cpu_others_share"])
    for _ in range(3):
        found = machine.after(0.05)
    assert found["cpu_others_share"] == pytest.approx(0.125)  # 50 ms of one core in 200 ms of two
    assert math.isnan(found["cpu_steal_share"])
    assert machine.after(0.05)["cpu_others_share"] == 0


def test_counters_that_stand_still_are_unknown(tmp_path):
    machine = Machine(tmp_path)
    found = machine.probe.read(5 * S)
    assert math.isnan(found["cpu_others_share"])
    assert "stand still" in machine.probe.unknown["cpu_others_share"]
    assert "cpu_others_share" not in machine.probe.sources


@pytest.mark.parametrize(
    "content", ["", "cpu  1 2 3\nctxt 5", stat({0: (1,) * 8}), "cpu0 a b c d e f g h\ncpu1 1\nctxt 2", "cpu0 1 2 3 4"]
)
def test_garbage_in_proc_stat_is_unknown(tmp_path, content):
    probe = LoadProbe(write(tmp_path, {"proc/stat": content}), [0, 1])
    assert probe.sources == {}
    assert probe.unknown["cpu_others_share"].startswith("/proc/stat: ")
    assert probe.read(S) == {}


def test_garbage_later_on_turns_unknown(tmp_path):
    machine = Machine(tmp_path)
    write(tmp_path, {"proc/stat": "gone"})
    assert machine.probe.read(S) == {}
    assert "stopped during the run" in machine.probe.unknown["cpu_busy_share"]


def test_a_watched_child_counts_while_it_lives():
    clocks = {41: 5 * S, 42: 7 * S}
    own = OwnTime(lambda pid: clocks[pid] if pid in clocks else (_ for _ in ()).throw(OSError()))
    before = own.total_ns()
    own.watch(41)
    own.watch(42)
    assert 12 * S <= own.total_ns() - before < 13 * S
    own.unwatch(41)  # lives on: only when it is gone does the kernel count it among the ended children
    assert own.total_ns() - before >= 12 * S
    del clocks[41]
    assert own.total_ns() - before < 8 * S


def test_a_number_that_another_process_has_now_is_not_ours():
    clocks = {41: 5 * S}
    own = OwnTime(clocks.__getitem__)
    own.watch(41)
    own.total_ns()
    clocks[41] = 1 * S
    before = own.total_ns()
    clocks[41] = 9 * S
    assert own.total_ns() - before < S


def test_a_real_childs_time_is_counted_before_and_after_it_ends():
    code = (
        "import sys, time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass\n"
        "print(flush=True)\nsys.stdin.read()"
    )
    own = OwnTime()
    before = own.total_ns()
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        own.watch(child.pid)
        assert child.stdout.readline()
        living = own.total_ns() - before
    ended = own.total_ns() - before
    assert living >= 0.2 * S
    assert ended >= living - 0.02 * S  # the kernel rounds the ended children's times to microseconds


def test_the_clock_of_this_process_is_readable_by_its_number():
    assert cpu_clock_ns(os.getpid()) > 0
