from __future__ import annotations

import errno
import math
import os

import pytest

from bakeoff.speed.telemetry import base
from bakeoff.speed.telemetry.cgroup import CgroupProbe
from bakeoff.speed.telemetry.cpu import CpuProbe
from bakeoff.speed.telemetry.jetson import JetsonProbe, is_jetson
from bakeoff.speed.telemetry.rapl import RaplProbe
from tests.speed.telemetry.trees import AGX_ORIN_RAILS, DOCKER_V1, DOCKER_V2, NANO_IIO, ORIN_NANO, XEON, write

RAPL = "sys/class/powercap/intel-rapl:0/energy_uj"


def test_cpu_clock_is_the_mean_of_one_cpu_a_core(tmp_path):
    probe = CpuProbe(write(tmp_path, XEON), [0, 1, 2, 3])
    assert probe.read(0)["cpu_mhz"] == pytest.approx(2850)  # CPUs 0 and 1; 2 and 3 are their siblings
    assert probe.sources["cpu_mhz"] == "cpufreq scaling_cur_freq, mean of 2 cores"


def test_cpu_clock_of_many_cores_is_read_from_eight(tmp_path):
    files = {f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq": 2_000_000 for cpu in range(64)}
    probe = CpuProbe(write(tmp_path, files), range(64))
    assert "mean of 8 of 64 cores" in probe.sources["cpu_mhz"]
    assert probe.read(0)["cpu_mhz"] == pytest.approx(2000)


def test_temperature_is_that_of_the_cpu_and_not_of_any_zone(tmp_path):
    probe = CpuProbe(write(tmp_path, {**XEON, "sys/class/thermal/thermal_zone0/temp": 99000}), [0])
    assert probe.read(0)["cpu_temperature_c"] == pytest.approx(61)
    assert probe.sources["cpu_temperature_c"] == "highest of x86_pkg_temp"


def test_temperature_of_amd_comes_from_hwmon(tmp_path):
    files = {"sys/class/hwmon/hwmon2/name": "k10temp", "sys/class/hwmon/hwmon2/temp1_input": 45125}
    probe = CpuProbe(write(tmp_path, files), [0])
    assert probe.read(0)["cpu_temperature_c"] == pytest.approx(45.125)
    assert probe.sources["cpu_temperature_c"] == "highest of hwmon k10temp"


def test_throttle_count_is_a_rise_and_counts_a_package_once(tmp_path):
    probe = CpuProbe(write(tmp_path, XEON), [0, 1, 2, 3])
    probe.begin(0)
    assert probe.read(0)["cpu_throttle_events"] == 0
    for cpu in range(4):
        write(tmp_path, {f"sys/devices/system/cpu/cpu{cpu}/thermal_throttle/package_throttle_count": 7})
    assert probe.read(0)["cpu_throttle_events"] == 2


def test_absent_files_make_quantities_unknown_with_a_reason(tmp_path):
    probes = [CpuProbe(tmp_path, [0]), RaplProbe(tmp_path), CgroupProbe(tmp_path), JetsonProbe(tmp_path, gpu=True)]
    for probe in probes:
        assert probe.sources == {}
        assert probe.unknown
        assert all(probe.unknown.values())
        assert probe.read(0) == {}


def test_garbage_makes_a_quantity_unknown(tmp_path):
    write(tmp_path, {**XEON, "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "<unknown>"})
    probe = CpuProbe(tmp_path, [0])
    assert "cpu_mhz" not in probe.sources
    assert "<unknown>" in probe.unknown["cpu_mhz"]
    write(tmp_path, {**XEON, RAPL: ""})
    assert "energy_uj is empty" in RaplProbe(tmp_path).unknown["cpu_energy_j"]


def test_rapl_adds_up_packages_alone(tmp_path):
    files = {
        **XEON,
        RAPL: 1_000_000,
        "sys/class/powercap/intel-rapl:2/name": "package-1",
        "sys/class/powercap/intel-rapl:2/energy_uj": 5_000_000,
        "sys/class/powercap/intel-rapl:2/max_energy_range_uj": 262_143_328_850,
    }
    probe = RaplProbe(write(tmp_path, files))
    probe.begin(0)
    write(tmp_path, {RAPL: 3_500_000, "sys/class/powercap/intel-rapl:2/energy_uj": 6_000_000})
    assert probe.read(0)["cpu_energy_j"] == pytest.approx(3.5)


def test_rapl_goes_round_at_its_range(tmp_path):
    probe = RaplProbe(write(tmp_path, XEON))
    probe.begin(0)
    write(tmp_path, {RAPL: 171_150})
    assert probe.read(0)["cpu_energy_j"] == pytest.approx(0.5)


def test_rapl_without_a_range_is_unknown_in_the_window_in_which_it_falls(tmp_path):
    write(tmp_path, {**XEON, "sys/class/powercap/intel-rapl:0/max_energy_range_uj": "garbage"})
    probe = RaplProbe(tmp_path)
    probe.begin(0)
    write(tmp_path, {RAPL: 5})
    assert math.isnan(probe.read(0)["cpu_energy_j"])
    write(tmp_path, {RAPL: 1_000_005})
    assert probe.read(0)["cpu_energy_j"] == pytest.approx(1)


def test_rapl_for_root_alone_names_the_cure(tmp_path, monkeypatch):
    def refuse(path, flags):
        raise PermissionError(errno.EACCES, "Permission denied")

    write(tmp_path, XEON)
    monkeypatch.setattr(base.os, "open", refuse)  # tests run as root too, whom no mode stops
    why = RaplProbe(tmp_path).unknown["cpu_energy_j"]
    assert "only root" in why
    assert "sudo chmod a+r /sys/class/powercap/intel-rapl:?/energy_uj" in why


@pytest.mark.parametrize(
    ("tree", "path", "after", "rise_ms"),
    [
        (DOCKER_V2, "sys/fs/cgroup/cpu.stat", "nr_throttled 18\nthrottled_usec 955112", 50),
        (DOCKER_V1, "sys/fs/cgroup/cpu/cpu.stat", "nr_throttled 3\nthrottled_time 175000000", 25),
    ],
)
def test_cgroup_throttling_of_both_versions(tmp_path, tree, path, after, rise_ms):
    probe = CgroupProbe(write(tmp_path, tree))
    probe.begin(0)
    assert probe.read(0)["cgroup_throttled_ms"] == 0
    write(tmp_path, {path: after})
    assert probe.read(0)["cgroup_throttled_ms"] == pytest.approx(rise_ms)
    assert probe.read(0)["cgroup_memory_bytes"] in (104_857_600, 52_428_800)


def test_a_group_without_quota_has_memory_and_no_throttling(tmp_path):
    probe = CgroupProbe(write(tmp_path, XEON))
    assert probe.read(0) == {"cgroup_memory_bytes": 734_003_200}
    assert "no control group" in probe.unknown["cgroup_throttled_ms"]


def test_a_quota_of_a_group_above_counts(tmp_path):
    files = {
        **XEON,
        "sys/fs/cgroup/user.slice/cpu.stat": "nr_throttled 1\nthrottled_usec 1000",
        "sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope/cpu.stat": "nr_throttled 0\nthrottled_usec 0",
    }
    probe = CgroupProbe(write(tmp_path, files))
    probe.begin(0)
    write(tmp_path, {"sys/fs/cgroup/user.slice/cpu.stat": "nr_throttled 2\nthrottled_usec 3000"})
    assert probe.read(0)["cgroup_throttled_ms"] == pytest.approx(2)


def test_orin_nano_board_power_is_its_input_rail(tmp_path):
    probe = JetsonProbe(write(tmp_path, ORIN_NANO), gpu=True)
    probe.begin(0)
    found = probe.read(0)
    assert is_jetson(tmp_path)
    assert found["board_power_w"] == pytest.approx(5.04)
    assert found["gpu_power_w"] == pytest.approx(1.008)
    assert probe.sources["gpu_power_w"] == "INA3221 rail VDD_CPU_GPU_CV, not the GPU alone"
    assert found["gpu_sm_mhz"] == pytest.approx(624.75)
    assert found["gpu_temperature_c"] == pytest.approx(51.25)
    assert found["board_throttle_events"] == 0


def test_agx_orin_board_power_is_the_sum_of_connected_rails(tmp_path):
    probe = JetsonProbe(write(tmp_path, AGX_ORIN_RAILS), gpu=False)
    assert probe.read(0)["board_power_w"] == pytest.approx(10)
    assert probe.sources["board_power_w"] == "sum of INA3221 rails VDD_GPU_SOC, VDD_CPU_CV"


def test_older_jetpack_tells_milliwatts_through_iio(tmp_path):
    probe = JetsonProbe(write(tmp_path, NANO_IIO), gpu=True)
    assert is_jetson(tmp_path)
    assert probe.read(0)["board_power_w"] == pytest.approx(2.532)
    assert probe.sources["gpu_power_w"] == "INA3221 rail POM_5V_GPU"


def test_hwmon_power_is_in_microwatts(tmp_path):
    files = {
        "sys/class/hwmon/hwmon1/name": "ina3221",
        "sys/class/hwmon/hwmon1/in1_label": "VDD_IN",
        "sys/class/hwmon/hwmon1/power1_input": 7_250_000,
    }
    assert JetsonProbe(write(tmp_path, files), gpu=False).read(0)["board_power_w"] == pytest.approx(7.25)


def test_a_file_that_fails_during_the_run_turns_its_quantity_unknown_and_no_other(tmp_path, monkeypatch):
    probe = CpuProbe(write(tmp_path, XEON), [0])
    clock = probe._files[0]
    os.close(clock._fd)
    clock._fd = os.open(tmp_path, os.O_RDONLY)  # reading a folder fails as reading an unplugged device does
    found = probe.read(0)
    assert math.isnan(found["cpu_mhz"])
    assert found["cpu_temperature_c"] == pytest.approx(61)
    assert "cpu_mhz" not in probe.sources
    assert "stopped during the run: is a directory" in probe.unknown["cpu_mhz"]
    assert "cpu_mhz" not in probe.read(0)


def test_a_sensor_that_is_not_ready_is_asked_again(tmp_path, monkeypatch):
    probe = CpuProbe(write(tmp_path, XEON), [0])
    real = os.pread

    def not_ready(*_):
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(base.os, "pread", not_ready)
    assert math.isnan(probe.read(0)["cpu_mhz"])
    monkeypatch.setattr(base.os, "pread", real)
    assert probe.read(0)["cpu_mhz"] == pytest.approx(2800)


def test_a_counter_that_missed_a_reading_says_nothing_of_the_window_after_it(tmp_path):
    values = iter([10, OSError(errno.EAGAIN, "again"), 30, 35])

    def read():
        value = next(values)
        if isinstance(value, OSError):
            raise value
        return value

    counter = base.rise(read)
    assert math.isnan(counter())
    with pytest.raises(OSError, match="again"):
        counter()
    assert math.isnan(counter())  # it would be the rise of two windows
    assert counter() == 5


def test_a_file_longer_than_a_page_is_read_whole(tmp_path):
    path = write(tmp_path, {"long": "x" * 50_000}) / "long"
    assert len(base.KernelFile(path).bytes()) == 50_001


@pytest.mark.parametrize(("words", "cpus"), [("0-3,8", [0, 1, 2, 3, 8]), ("0", [0]), ("", [])])
def test_cpu_lists_of_the_kernel(words, cpus):
    assert base.cpu_list(words) == cpus
