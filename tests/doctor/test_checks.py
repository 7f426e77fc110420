from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from bakeoff import doctor
from bakeoff.doctor import backends, clocks, cores, gpu, jetson, linux, load, probes, room
from bakeoff.records import BackendStatus, Finding
from tests.speed.telemetry import fake_nvml
from tests.speed.telemetry.fake_nvml import FakeNvml
from tests.speed.telemetry.trees import DOCKER_V1, DOCKER_V2, ORIN_NANO, XEON, write

CPU = "sys/devices/system/cpu"


@pytest.fixture
def four_cpus(monkeypatch):
    """CPUs 0 to 3 may be used, whatever this machine has."""
    monkeypatch.setattr(linux, "usable_cpus", lambda: [0, 1, 2, 3])


def by_topic(found):
    return {finding.topic: finding for finding in found}


def test_a_governor_that_follows_the_load_is_a_warning(tmp_path, four_cpus):
    found = by_topic(clocks.check(write(tmp_path, XEON)))["governor"]
    assert (found.level, found.cure) == ("warning", "sudo cpupower frequency-set -g performance")
    assert "powersave" in found.what


def test_the_governor_performance_is_ok(tmp_path, four_cpus):
    write(tmp_path, {f"{CPU}/cpu{cpu}/cpufreq/scaling_governor": "performance" for cpu in range(4)})
    assert by_topic(clocks.check(tmp_path))["governor"].level == "ok"


@pytest.mark.parametrize(
    ("file", "value", "level"),
    [
        ("intel_pstate/no_turbo", 0, "note"),
        ("intel_pstate/no_turbo", 1, "ok"),
        ("cpufreq/boost", 1, "note"),
        ("cpufreq/boost", 0, "ok"),
    ],
)
def test_turbo_of_both_kinds(tmp_path, file, value, level):
    found = by_topic(clocks.check(write(tmp_path, {f"{CPU}/{file}": value})))["turbo"]
    assert found.level == level
    assert found.cure is None or f"/sys/devices/system/cpu/{file}" in found.cure


def test_a_zone_near_its_trip_point_is_a_warning_and_a_fan_is_none(tmp_path):
    zone = "sys/class/thermal/thermal_zone0"
    files = {
        f"{zone}/type": "cpu-thermal",
        f"{zone}/temp": 76000,
        f"{zone}/trip_point_0_type": "active",
        f"{zone}/trip_point_0_temp": 50000,
        f"{zone}/trip_point_1_type": "passive",
        f"{zone}/trip_point_1_temp": 85000,
        f"{zone}/trip_point_2_type": "critical",
        f"{zone}/trip_point_2_temp": -274000,  # "not set"
    }
    found = by_topic(clocks.check(write(tmp_path, files)))["temperature"]
    assert found.level == "warning"
    assert "76 °C and slows down from 85 °C" in found.what
    write(tmp_path, {f"{zone}/temp": 60000})
    assert by_topic(clocks.check(tmp_path))["temperature"].level == "ok"


@pytest.mark.parametrize(("status", "level"), [("Discharging", "warning"), ("Full", "ok")])
def test_battery_power_is_a_warning(tmp_path, status, level):
    files = {
        "sys/class/power_supply/hidpp_battery_0/type": "Battery",
        "sys/class/power_supply/hidpp_battery_0/scope": "Device",
        "sys/class/power_supply/hidpp_battery_0/status": "Discharging",  # a mouse
        "sys/class/power_supply/BAT1/type": "Battery",
        "sys/class/power_supply/BAT1/status": status,
    }
    assert by_topic(clocks.check(write(tmp_path, files)))["power supply"].level == level


def test_siblings_are_a_note_with_a_taskset_of_one_cpu_a_core(tmp_path, four_cpus):
    found = by_topic(cores.check(write(tmp_path, XEON)))
    assert found["smt"].level == "note"
    assert "taskset -c 0-1 bakeoff" in found["smt"].cure
    assert "/sys/devices/system/cpu/smt/control" in found["smt"].cure
    assert found["cores"].level == "ok"


def test_fewer_usable_cores_than_there_are_is_a_note(tmp_path, monkeypatch):
    monkeypatch.setattr(linux, "usable_cpus", lambda: [0])
    found = by_topic(cores.check(write(tmp_path, {f"{CPU}/online": "0-7"})))["cores"]
    assert found.level == "note"
    assert "1 of the machine's 8 cores" in found.what
    assert "--cpuset-cpus=0-7" in found.cure


@pytest.mark.parametrize(("tree", "quota"), [(DOCKER_V2, "1.5"), (DOCKER_V1, "2")])
def test_a_quota_of_either_version_is_a_warning(tmp_path, four_cpus, tree, quota):
    found = by_topic(cores.check(write(tmp_path, tree)))["cpu quota"]
    assert found.level == "warning"
    assert f"a quota of {quota} CPUs" in found.what


def test_no_quota_is_no_finding(tmp_path, four_cpus):
    write(tmp_path, {**DOCKER_V2, "sys/fs/cgroup/cpu.max": "max 100000"})
    assert "cpu quota" not in by_topic(cores.check(tmp_path))


def test_a_virtual_machine_is_a_note(tmp_path):
    write(tmp_path, {"proc/cpuinfo": "processor : 0\nflags\t\t: fpu vme hypervisor lahf_lm"})
    assert by_topic(cores.check(tmp_path))["virtual machine"].level == "note"


@pytest.mark.parametrize(("cpus", "words"), [([0, 1, 2, 3, 8], "0-3,8"), ([5], "5"), ([], "")])
def test_cpus_as_taskset_reads_them(cpus, words):
    assert cores.ranges(cpus) == words


@pytest.mark.parametrize(("used", "level"), [(524_288, "warning"), (0, "note")])
def test_swap_in_use_is_a_warning_and_empty_swap_a_note(tmp_path, used, level):
    row = f"/dev/nvme0n1p3                          partition\t2097152\t\t{used}\t\t-2"
    write(tmp_path, {"proc/swaps": f"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n{row}"})
    found = by_topic(room.check(tmp_path))["swap"]
    assert (found.level, found.cure) == (level, "sudo swapoff -a (undo: sudo swapon -a)")


def test_no_swap_is_ok_and_missing_shared_memory_a_warning(tmp_path):
    found = by_topic(room.check(write(tmp_path, {"proc/swaps": "Filename Type Size Used Priority"})))
    assert found["swap"].level == "ok"
    assert found["shared memory"].level == "warning"
    assert "missing" in found["shared memory"].what


def test_small_shared_memory_is_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_blocks=16384, f_bfree=9, f_bavail=9, f_frsize=4096))
    found = by_topic(room.check(tmp_path))["shared memory"]
    assert found.level == "warning"
    assert "64 MiB" in found.what


def test_little_memory_and_disk_are_warnings(tmp_path, monkeypatch):
    monkeypatch.setattr(room.host, "available_memory_bytes", lambda: 2**30)
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: SimpleNamespace(free=2**30))
    found = by_topic(room.check(tmp_path))
    assert found["memory"].level == found["disk"].level == "warning"


def test_load_of_others_is_a_warning_that_names_them():
    own = os.getpid()
    (found,) = load.judged_load(0.4, None, [("ffmpeg", own, 0.79), ("gone", 1 << 30, 0.1)])
    assert found.level == "warning"
    assert f"ffmpeg (pid {own}) 79% of a core" in found.what
    assert f"kill -STOP {own} (" in found.cure, "what can't be held, as what is gone or another user's, is not offered"


@pytest.mark.parametrize(("share", "level"), [(0.05, "ok"), (None, "note"), (float("nan"), "note")])
def test_little_or_unknown_load_is_no_warning(share, level):
    assert [finding.level for finding in load.judged_load(share, "why", [])] == [level]


def test_steal_is_a_warning_above_two_percent_alone():
    assert [finding.level for finding in load.judged_steal(0.05)] == ["warning"]
    assert list(load.judged_steal(0.02)) == list(load.judged_steal(None)) == []


def test_the_busiest_are_named_by_what_they_used_meanwhile():
    before = {(1, 0.0): ("old", 100.0), (2, 0.0): ("idle", 5.0)}
    after = {(1, 0.0): ("old", 100.4), (2, 0.0): ("idle", 5.0), (3, 9.0): ("new", 0.3)}
    assert load.busiest(before, after, 0.5) == [("old", 1, pytest.approx(0.8))]


def test_a_jetson_below_its_largest_mode_names_the_command(tmp_path, four_cpus):
    found = by_topic(jetson.check(write(tmp_path, ORIN_NANO)))
    assert found["power mode"].level == found["jetson clocks"].level == "warning"
    assert "7W" in found["power mode"].what
    assert found["power mode"].cure.startswith("sudo nvpmodel -m 2 (undo: sudo nvpmodel -m 1")
    assert found["jetson clocks"].cure.startswith("sudo jetson_clocks")


def test_a_jetson_at_its_largest_mode_with_fixed_clocks_is_ok(tmp_path):
    gpu_folder = "sys/class/devfreq/17000000.gpu"
    files = {**ORIN_NANO, "var/lib/nvpmodel/status": "pmode:0002", f"{gpu_folder}/min_freq": 624_750_000}
    assert {finding.level for finding in jetson.check(write(tmp_path, files))} == {"ok"}


def test_what_is_no_jetson_has_no_findings_of_one(tmp_path):
    assert jetson.check(tmp_path) == []


def test_a_gpu_in_order_has_a_name_and_a_note_on_clocks(tmp_path):
    nvml = FakeNvml()
    found = gpu.check(tmp_path, nvml)
    assert [finding.level for finding in found] == ["ok", "note"]
    assert "sudo nvidia-smi -i 0 -lgc 1485,1485" in found[1].cure
    assert nvml.open == 0


def test_a_gpu_with_everything_wrong(tmp_path):
    nvml = FakeNvml()
    nvml.persistence, nvml.mig, nvml.mask = 0, [1, 1], 0x4
    nvml.running = [
        SimpleNamespace(pid=os.getpid(), usedGpuMemory=1),
        SimpleNamespace(pid=99, usedGpuMemory=3 * 2**30),
        SimpleNamespace(pid=100, usedGpuMemory=None),
    ]
    warnings = [finding for finding in gpu.check(tmp_path, nvml) if finding.level == "warning"]
    assert [finding.what.partition(":")[0] for finding in warnings] == [
        "persistence mode is off", "held back right now", "MIG is on", "used by others",
    ]  # fmt: skip
    assert [finding.cure.partition(" (")[0] for finding in warnings][::2] == [
        "sudo nvidia-smi -i 0 -pm 1", "sudo nvidia-smi -i 0 -mig 0",
    ]  # fmt: skip
    assert warnings[-1].what == "used by others: pid 99 with 3.0 GiB, pid 100"


def test_clocks_limited_by_a_setting_are_ok(tmp_path):
    nvml = FakeNvml()
    nvml.mask = 0x2
    assert [finding.level for finding in gpu.check(tmp_path, nvml)] == ["ok", "ok"]


def test_what_a_gpu_can_not_tell_is_passed_over(tmp_path):
    refused = fake_nvml.NVMLError_NotSupported("Not Supported")
    names = ["nvmlDeviceGetMigMode", "nvmlDeviceGetPersistenceMode", "nvmlDeviceGetComputeRunningProcesses"]
    found = gpu.check(tmp_path, FakeNvml(**dict.fromkeys(names, refused)))
    assert [finding.level for finding in found] == ["ok", "note"]


def test_a_gpu_without_driver_is_a_problem_and_no_gpu_is_nothing(tmp_path):
    nvml = FakeNvml(nvmlInit=fake_nvml.NVMLError_LibraryNotFound("NVML Shared Library Not Found"))
    assert gpu.check(tmp_path, nvml) == []
    files = {
        "sys/bus/pci/devices/0000:01:00.0/vendor": "0x10de",
        "sys/bus/pci/devices/0000:01:00.0/class": "0x030000",
    }
    (found,) = gpu.check(write(tmp_path, files), nvml)
    assert found.level == "problem"
    assert "install the NVIDIA driver" in found.cure


def test_a_driver_without_the_package_is_a_note(tmp_path):
    write(tmp_path, {"proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX Open Kernel Module 580.159.04"})
    (found,) = gpu.without_driver(tmp_path, "the package nvidia-ml-py is not installed; cure: pip install nvidia-ml-py")
    assert (found.level, found.cure) == ("note", "pip install nvidia-ml-py")


def test_telemetrys_unknown_quantities_are_notes_by_reason(tmp_path):
    found = probes.check(tmp_path)
    assert {finding.level for finding in found} == {"note"}
    assert any("cpu_mhz: no cpufreq here" in finding.what for finding in found)


def test_backends_that_cannot_run_have_their_reason_and_cure():
    def status(**given):
        return BackendStatus(name="x", title="X", **given)

    missing = status(cannot_run="openvino is not installed; pip install 'bakeoff[openvino]'")
    broken = status(cannot_run="ended by signal 11; see probe-x.log")
    no_convert = status(version="1.0", device="cpu", cannot_convert="onnx is not installed; pip install onnx")
    no_gpu = status(cannot_run="no NVIDIA GPU here: the driver shows none; X needs a host with one to run")
    found = backends.judged([missing, broken, no_convert, status(version="1.0", device="cpu"), no_gpu])
    assert [finding.level for finding in found] == ["note", "problem", "note", "ok", "note"]
    assert found[0].cure == "pip install 'bakeoff[openvino]'"
    assert found[1].cure is None  # the log of a probe is gone when the probe is over
    assert found[2].what.startswith("runs, but can't convert")


def test_a_check_that_breaks_is_a_note_and_stops_no_other(tmp_path):
    def broken(_):
        raise ZeroDivisionError("oops")

    (found,) = doctor.guarded("topic", broken, tmp_path)
    assert (found.level, found.topic) == ("note", "topic")
    assert "ZeroDivisionError: oops" in found.what


def test_problems_come_first(tmp_path, monkeypatch):
    def one(level):
        return lambda _: [Finding(level=level, topic=level, what="")]

    monkeypatch.setattr(doctor, "CHECKS", {level: one(level) for level in ("ok", "note", "problem", "warning")})
    assert [finding.level for finding in doctor.examine(tmp_path)] == ["problem", "warning", "note", "ok"]


def test_bare_machines_break_no_check(tmp_path):
    for name in ("cpu clock", "cores", "room", "jetson", "gpu", "telemetry", "packages"):
        assert all(
            "could not be looked at" not in finding.what
            for finding in doctor.guarded(name, doctor.CHECKS[name], tmp_path)
        )


def test_every_warning_and_problem_of_the_checks_names_a_cure(tmp_path, four_cpus):
    tree = {**XEON, **DOCKER_V2, "proc/swaps": "head\n/swapfile file 1000 10 -2"}
    write(tmp_path, tree)
    found = [finding for check in (clocks, cores, room) for finding in check.check(tmp_path)]
    assert all(finding.cure for finding in found if finding.level in ("warning", "problem"))
