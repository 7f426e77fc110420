"""pynvml as far as the probes use it: names, numbers, units and errors are those of nvidia-ml-py 13.615."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


class NVMLError(Exception):
    """Base of what NVML raises."""


class NVMLError_LibraryNotFound(NVMLError):
    """No libnvidia-ml.so.1."""


class NVMLError_NotSupported(NVMLError):
    """This GPU has no such thing."""


class NVMLError_FunctionNotFound(NVMLError):
    """The driver is older than the package."""


class NVMLError_GpuIsLost(NVMLError):
    """It has fallen off the bus."""


class FakeNvml:
    """One H100, with figures as one showed them."""

    NVML_CLOCK_SM = 1
    NVML_CLOCK_MEM = 2
    NVML_TEMPERATURE_GPU = 0
    NVML_PERF_POLICY_POWER = 0
    NVML_PERF_POLICY_THERMAL = 1
    NVML_FI_DEV_PERF_POLICY_POWER = 74
    NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN = 269

    def __init__(self, **broken: Exception) -> None:
        """Functions named in `broken` raise that."""
        self.broken = dict(broken)
        self.energy_mj, self.mask, self.held_ns = 2_494_156, 0, {74: 0, 269: 0}
        self.persistence, self.mig, self.running = 1, [0, 0], []
        self.open = 0
        self.asked: list[str] = []

    def _answer(self, name: str, value: Any) -> Any:
        self.asked.append(name)
        if name in self.broken:
            raise self.broken[name]
        return value

    def nvmlInit(self) -> None:
        self._answer("nvmlInit", None)
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def __getattr__(self, name: str) -> Any:
        def device_or_not(*arguments: Any) -> Any:
            return self._answer(name, self._value(name, arguments))

        if not name.startswith("nvml"):
            raise AttributeError(name)
        return device_or_not

    def _value(self, name: str, arguments: tuple[Any, ...]) -> Any:
        if name == "nvmlDeviceGetClockInfo":
            return {1: 1980, 2: 2619}[arguments[1]]
        if name == "nvmlDeviceGetFieldValues":
            return [SimpleNamespace(nvmlReturn=0, value=SimpleNamespace(ullVal=self.held_ns[f])) for f in arguments[1]]
        if name == "nvmlDeviceGetViolationStatus":
            return SimpleNamespace(referenceTime=0, violationTime=self.held_ns[{0: 74, 1: 269}[arguments[1]]])
        return {
            "nvmlDeviceGetCount": 1,
            "nvmlDeviceGetHandleByIndex": arguments[0] if arguments else None,
            "nvmlDeviceGetHandleByUUID": arguments[0] if arguments else None,
            "nvmlDeviceGetName": "NVIDIA H100 80GB HBM3",
            "nvmlDeviceGetPowerUsage": 71_447,
            "nvmlDeviceGetTotalEnergyConsumption": self.energy_mj,
            "nvmlDeviceGetTemperature": 35,
            "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=85_520_809_984, free=1, used=1_429_000_000),
            "nvmlDeviceGetCurrentClocksEventReasons": self.mask,
            "nvmlDeviceGetCurrentClocksThrottleReasons": self.mask,
            "nvmlDeviceGetPersistenceMode": self.persistence,
            "nvmlDeviceGetMigMode": self.mig,
            "nvmlDeviceGetMaxClockInfo": 1980,
            "nvmlDeviceGetComputeRunningProcesses": self.running,
            "nvmlDeviceGetGraphicsRunningProcesses": [],
            "nvmlSystemGetDriverVersion": "580.159.04",
            "nvmlSystemGetCudaDriverVersion_v2": 13_000,
        }[name]
