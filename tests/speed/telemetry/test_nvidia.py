from __future__ import annotations

import sys

import pytest

from bakeoff.speed.telemetry.nvidia import QUANTITIES, NvidiaProbe, handle, throttle_words
from tests.speed.telemetry import fake_nvml
from tests.speed.telemetry.fake_nvml import FakeNvml


@pytest.fixture(autouse=True)
def _no_hidden_gpus(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_every_quantity_in_its_unit():
    nvml = FakeNvml()
    probe = NvidiaProbe(0, nvml)
    probe.begin(0)
    nvml.energy_mj += 2_500
    nvml.mask = 0x4 | 0x2
    nvml.held_ns = {74: 30_000_000, 269: 2_000_000}
    assert probe.read(0) == pytest.approx(
        {
            "gpu_sm_mhz": 1980,
            "gpu_memory_mhz": 2619,
            "gpu_power_w": 71.447,
            "gpu_energy_j": 2.5,
            "gpu_temperature_c": 35,
            "gpu_memory_bytes": 1_429_000_000,
            "gpu_throttle_mask": 6,
            "gpu_throttled_ms": 32,
        }
    )
    assert set(probe.sources) == set(QUANTITIES)
    assert "NVIDIA H100" in probe.sources["gpu_sm_mhz"]


def test_idling_and_clocks_set_by_the_user_are_no_throttling():
    assert throttle_words(0) == ()
    assert throttle_words(0x1 | 0x2 | 0x10 | 0x100) == ()
    assert throttle_words(0x1 | 0x4 | 0x40) == ("power cap", "thermal slowdown by the hardware")
    assert throttle_words(0x8000) == ("reason 0x8000",)


def test_an_older_driver_is_asked_by_the_older_names():
    missing = fake_nvml.NVMLError_FunctionNotFound("Function Not Found")
    nvml = FakeNvml(nvmlDeviceGetCurrentClocksEventReasons=missing, nvmlDeviceGetFieldValues=missing)
    probe = NvidiaProbe(0, nvml)
    probe.begin(0)
    nvml.mask, nvml.held_ns = 0x20, {74: 0, 269: 5_000_000}
    found = probe.read(0)
    assert (found["gpu_throttle_mask"], found["gpu_throttled_ms"]) == (0x20, 5)


def test_what_a_gpu_does_not_support_is_unknown_and_the_rest_is_told():
    probe = NvidiaProbe(
        0, FakeNvml(nvmlDeviceGetTotalEnergyConsumption=fake_nvml.NVMLError_NotSupported("Not Supported"))
    )
    assert "Not Supported" in probe.unknown["gpu_energy_j"]
    assert set(probe.sources) == set(QUANTITIES) - {"gpu_energy_j"}


def test_a_gpu_that_is_lost_during_the_run_turns_unknown():
    nvml = FakeNvml()
    probe = NvidiaProbe(0, nvml)
    nvml.broken = dict.fromkeys(
        ["nvmlDeviceGetClockInfo", "nvmlDeviceGetPowerUsage"], fake_nvml.NVMLError_GpuIsLost("GPU is lost")
    )
    found = probe.read(0)
    assert found["gpu_temperature_c"] == 35
    assert probe.unknown["gpu_power_w"].startswith("stopped during the run: GPU is lost")


def test_no_driver_is_a_reason_with_a_cure_for_every_quantity():
    probe = NvidiaProbe(0, FakeNvml(nvmlInit=fake_nvml.NVMLError_LibraryNotFound("NVML Shared Library Not Found")))
    assert probe.sources == {}
    assert set(probe.unknown) == set(QUANTITIES)
    assert "NVML Shared Library Not Found" in probe.unknown["gpu_power_w"]
    assert "install the NVIDIA driver" in probe.unknown["gpu_power_w"]


def test_without_the_package_the_cure_is_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "pip install nvidia-ml-py" in NvidiaProbe(0).unknown["gpu_power_w"]


def test_a_gpu_that_is_not_there_is_a_reason():
    probe = NvidiaProbe(7, FakeNvml(nvmlDeviceGetHandleByIndex=fake_nvml.NVMLError("Invalid Argument")))
    assert probe.unknown["gpu_power_w"] == "GPU 7 can't be opened: Invalid Argument"


def test_gpus_are_counted_as_cuda_does(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-8f6d")
    assert handle(FakeNvml(), 0) == 3
    assert handle(FakeNvml(), 1) == "GPU-8f6d"
    assert "leaves 2 GPUs" in NvidiaProbe(2, FakeNvml()).unknown["gpu_power_w"]


def test_the_library_is_let_go_once():
    nvml = FakeNvml()
    probe = NvidiaProbe(0, nvml)
    probe.close()
    probe.close()
    assert nvml.open == 0


def test_the_fake_has_the_real_packages_names():
    pynvml = pytest.importorskip("pynvml")
    nvml = FakeNvml()
    probe = NvidiaProbe(0, nvml)
    probe.read(0)
    probe.close()
    assert [name for name in nvml.asked if not callable(getattr(pynvml, name, None))] == []
    numbers = {name: value for name, value in vars(FakeNvml).items() if name.startswith("NVML_")}
    assert {name: getattr(pynvml, name) for name in numbers} == numbers
    assert pynvml.nvmlClocksEventReasonSwPowerCap == 0x4
    assert pynvml.nvmlClocksEventReasonHwThermalSlowdown == 0x40
    assert pynvml.nvmlClocksThrottleReasonReliability == 0x400


def test_the_real_package_tells_something_or_a_reason():
    pytest.importorskip("pynvml")
    probe = NvidiaProbe(0)
    probe.begin(0)
    probe.read(0)
    assert set(probe.sources) | set(probe.unknown) == set(QUANTITIES)
    probe.close()
