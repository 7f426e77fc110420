from __future__ import annotations

import math
import os

import numpy as np
import pytest

from bakeoff.speed.telemetry import Telemetry
from bakeoff.speed.telemetry.base import NAN, Probe
from bakeoff.speed.telemetry.recorder import COST_SHARE, busy, throttled
from tests.speed.telemetry.trees import ORIN_NANO, XEON, stat, write

MS = 1_000_000


class Clock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now

    def passes(self, ms: float) -> None:
        self.now += round(ms * MS)


class FakeProbe(Probe):
    """Costs time, and tells how many readings there were."""

    def __init__(self, clock: Clock, cost_ms: float = 1.0, quantity: str = "readings") -> None:
        super().__init__()
        self.clock, self.cost_ms, self.count = clock, cost_ms, 0
        self.row: dict[str, float] = {}
        self.tell(quantity, "a fake", lambda: float(self.count))

    def read(self, now_ns):
        self.clock.passes(self.cost_ms)
        self.count += 1
        return {**super().read(now_ns), **self.row}


def opened(cost_ms=1.0):
    clock = Clock()
    probe = FakeProbe(clock, cost_ms)
    return Telemetry([probe], clock), clock, probe


def test_a_long_block_gets_a_window_of_its_own():
    telemetry, clock, _ = opened()
    telemetry.start()
    numbers = []
    for owner in "abc":
        clock.passes(500)
        numbers.append(telemetry.after_block(owner))
    windows = telemetry.windows()
    assert numbers == [0, 1, 2]
    assert windows["owner_pure"].tolist() == [True, True, True]
    assert windows["start_ns"].tolist() == [0, *windows["end_ns"][:-1]]


def test_short_blocks_share_a_window():
    telemetry, clock, _ = opened()
    telemetry.start()
    numbers = []
    for i in range(60):
        clock.passes(10)
        numbers.append(telemetry.after_block("ab"[i % 2]))
    assert numbers == [0] * 40 + [1] * 20  # 1 ms is 0.5% of 200 ms; the first window pays for the first sample too
    assert telemetry.windows()["owner_pure"].tolist() == [False, False]


@pytest.mark.parametrize("block_ms", [0.5, 3, 10, 100])
def test_the_cost_stays_under_half_a_percent_of_short_blocks(block_ms):
    telemetry, clock, probe = opened(cost_ms=0.4)
    telemetry.start()
    for i in range(20_000):
        probe.cost_ms = 0.4 if i % 50 else 4.0  # now and then a sample takes ten times as long
        clock.passes(block_ms)
        telemetry.after_block("a")
    assert telemetry.cost.samples > 10
    assert telemetry.cost.share <= COST_SHARE
    assert telemetry.cost.spent_s <= COST_SHARE * clock.now * 1e-9


def test_after_a_costly_sample_the_next_one_waits_until_it_is_paid():
    telemetry, clock, probe = opened(cost_ms=1)
    telemetry.start()
    clock.passes(500)
    probe.cost_ms = 10
    assert telemetry.after_block("a") == 0
    assert telemetry.cost.share > COST_SHARE  # nobody could know
    waited_ms = 0
    while telemetry.cost.samples == 2:
        clock.passes(100)
        waited_ms += 100
        assert telemetry.after_block("a") == 1
    assert waited_ms >= 10 / COST_SHARE
    assert telemetry.cost.share <= COST_SHARE


def test_windows_ends_the_open_one_so_that_every_number_has_an_entry():
    telemetry, clock, _ = opened()
    telemetry.start()
    clock.passes(5)
    number = telemetry.after_block("a")
    assert len(telemetry.windows()["busy"]) == number + 1
    assert len(telemetry.windows()["busy"]) == number + 1  # and no empty one after it
    telemetry.close()
    assert len(telemetry.windows()["busy"]) == number + 1


def test_what_lies_between_stop_and_start_is_in_no_window():
    telemetry, clock, _ = opened()
    telemetry.start()
    clock.passes(500)
    telemetry.after_block("a")
    clock.passes(5)
    telemetry.after_block("a")
    telemetry.stop()
    clock.passes(60_000)
    telemetry.start()
    clock.passes(500)
    assert telemetry.after_block("b") == 2
    windows = telemetry.windows()
    assert (windows["end_ns"] - windows["start_ns"]).max() < 600 * MS


def test_a_start_without_blocks_begins_anew():
    telemetry, clock, _ = opened()
    telemetry.start()
    clock.passes(60_000)
    telemetry.start()
    clock.passes(500)
    assert telemetry.after_block("a") == 0
    assert telemetry.windows()["start_ns"].tolist() == [60_001 * MS]


def test_a_block_without_a_window_is_refused():
    with pytest.raises(RuntimeError, match="start"):
        opened()[0].after_block("a")


def test_a_quantity_that_stops_is_nan_from_then_on_and_unknown():
    telemetry, clock, probe = opened()
    telemetry.start()
    clock.passes(500)
    telemetry.after_block("a")
    probe.lose("readings", "gone")
    clock.passes(500)
    telemetry.after_block("a")
    values = telemetry.windows()["readings"]
    assert not math.isnan(values[0])
    assert math.isnan(values[1])
    assert telemetry.unknown == {"readings": "stopped during the run: gone (was: a fake)"}
    assert telemetry.sources == {}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({}, False),
        ({"cpu_others_share": NAN, "cpu_steal_share": NAN}, False),
        ({"cpu_others_share": 0.1}, False),
        ({"cpu_others_share": 0.11}, True),
        ({"cpu_others_share": 0.0, "cpu_steal_share": 0.03}, True),
    ],
)
def test_busy_is_others_above_a_tenth_or_steal_above_two_percent(row, expected):
    assert busy(row) is expected


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({}, False),
        ({"cgroup_throttled_ms": 0, "cpu_throttle_events": 0, "gpu_throttle_mask": 0x3, "gpu_throttled_ms": 0}, False),
        ({"cgroup_throttled_ms": NAN, "gpu_throttle_mask": NAN}, False),
        ({"cgroup_throttled_ms": 0.1}, True),
        ({"cpu_throttle_events": 1}, True),
        ({"board_throttle_events": 1}, True),
        ({"gpu_throttle_mask": 0x4}, True),
        ({"gpu_throttled_ms": 5}, True),
    ],
)
def test_throttled_is_a_quota_heat_or_a_reason_of_the_gpu(row, expected):
    assert throttled(row) is expected


def test_flags_are_booleans_a_window():
    telemetry, clock, probe = opened()
    telemetry.start()
    for share in (0.5, 0.0):
        probe.row = {"cpu_others_share": share}
        clock.passes(500)
        telemetry.after_block("a")
    windows = telemetry.windows()
    assert windows["busy"].tolist() == [True, False]
    assert windows["busy"].dtype == windows["throttled"].dtype == np.bool_


def test_open_on_an_empty_machine_tells_nothing_and_says_why(tmp_path):
    clock = Clock()
    with Telemetry.open("cpu", tmp_path, clock) as telemetry:
        telemetry.start()
        clock.passes(100)
        telemetry.after_block("a")
        windows = telemetry.windows()
    assert telemetry.sources == {}
    assert all(telemetry.unknown.values())
    assert set(windows) == {"start_ns", "end_ns", "owner_pure", "busy", "throttled"}
    assert not windows["busy"].any()


def test_open_on_a_server_tells_what_its_files_say(tmp_path):
    every = sorted(os.sched_getaffinity(0))
    tree = {**XEON, "proc/stat": stat(dict.fromkeys(every, (1, 1, 1, 1, 1, 1, 1, 1)))}
    tree.update({f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq": 3_000_000 for cpu in every})
    with Telemetry.open("cpu", write(tmp_path, tree), Clock()) as telemetry:
        assert {"cpu_mhz", "cpu_temperature_c", "cpu_energy_j", "cpu_others_share"} <= set(telemetry.sources)
        assert not any(name.startswith("gpu") for name in {**telemetry.sources, **telemetry.unknown})


def test_open_on_a_jetson_asks_its_board_and_not_nvml(tmp_path):
    with Telemetry.open("cuda", write(tmp_path, ORIN_NANO), Clock()) as telemetry:
        assert telemetry.sources["gpu_sm_mhz"] == "devfreq 17000000.gpu"
        assert "board_power_w" in telemetry.sources
        assert "gpu_energy_j" not in telemetry.sources


def test_this_machine_gives_sane_values_or_reasons():
    limits = {
        "cpu_mhz": (100, 10_000),
        "cpu_temperature_c": (-20, 120),
        "cpu_energy_j": (0, 1e5),
        "cpu_busy_share": (0, 1),
        "cpu_others_share": (0, 1),
        "cpu_steal_share": (0, 1),
        "cgroup_memory_bytes": (1, 1e15),
        "cgroup_throttled_ms": (0, 1e7),
    }
    with Telemetry.open("cpu") as telemetry:
        telemetry.watch(os.getpid())
        telemetry.start()
        for _ in range(3):
            telemetry.after_block("a")
        windows = telemetry.windows()
    for quantity, (low, high) in limits.items():
        if quantity in telemetry.sources:
            known = windows[quantity][~np.isnan(windows[quantity])]
            assert ((known >= low) & (known <= high)).all(), quantity
        else:
            assert len(telemetry.unknown[quantity]) > 10
    assert telemetry.cost.spent_s > 0
    assert (windows["end_ns"] > windows["start_ns"]).all()
