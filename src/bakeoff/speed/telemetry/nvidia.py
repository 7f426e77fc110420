"""An NVIDIA GPU's clocks, power, energy, temperature, throttling and memory, through NVML (`nvidia-ml-py`)."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

from bakeoff.speed.telemetry.base import Probe, Read, reason, rise, scaled, total

SM_CLOCK, MEMORY_CLOCK = "gpu_sm_mhz", "gpu_memory_mhz"
POWER, ENERGY = "gpu_power_w", "gpu_energy_j"
TEMPERATURE, MEMORY = "gpu_temperature_c", "gpu_memory_bytes"
THROTTLE, THROTTLED = "gpu_throttle_mask", "gpu_throttled_ms"
QUANTITIES = (SM_CLOCK, MEMORY_CLOCK, POWER, ENERGY, TEMPERATURE, MEMORY, THROTTLE, THROTTLED)
INSTALL = "pip install nvidia-ml-py (or bakeoff[nvidia])"

# nvml.h, nvmlClocksEventReasons. The first row says why a clock is low though nothing holds it back against the
# user's wish: idle, or somebody set it so. The second is throttling.
SETTINGS = {0x1: "idle", 0x2: "application clocks setting", 0x10: "sync boost", 0x100: "display clock setting"}
THROTTLING = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x20: "thermal slowdown by the driver",
    0x40: "thermal slowdown by the hardware",
    0x80: "power brake",
    0x200: "board limit",
    0x400: "reliability limit",
}


def throttle_words(mask: int) -> tuple[str, ...]:
    """Return the reasons in a mask that are throttling, in words; idling and clocks set by the user are none."""
    words = [word for bit, word in THROTTLING.items() if mask & bit]
    rest = mask & ~sum(SETTINGS) & ~sum(THROTTLING)
    return (*words, *([f"reason {rest:#x}"] if rest else []))


class NvidiaProbe(Probe):
    """One GPU, by its number; or all its quantities unknown, and why."""

    def __init__(self, index: int = 0, nvml: ModuleType | None = None) -> None:
        """Open GPU `index`, as CUDA counts those that CUDA_VISIBLE_DEVICES leaves; `nvml` stands in for pynvml."""
        super().__init__()
        self._shut: Callable[[], object] | None = None
        opened = open_nvml(nvml)
        if isinstance(opened, str):
            self.unknown = dict.fromkeys(QUANTITIES, opened)
            return
        self._shut = opened.nvmlShutdown
        try:
            device = handle(opened, index)
            name = decoded(opened.nvmlDeviceGetName(device))
        except Exception as error:
            self.unknown = dict.fromkeys(QUANTITIES, f"GPU {index} can't be opened: {reason(error)}")
            return
        self._add(opened, device, f"NVML, GPU {index} ({name})")

    def close(self) -> None:
        """See `Probe.close`."""
        super().close()
        shut, self._shut = self._shut, None
        if shut is not None:
            with contextlib.suppress(Exception):
                shut()

    def _add(self, nvml: Any, device: Any, where: str) -> None:
        def clock(kind: int) -> Read:
            return lambda: float(nvml.nvmlDeviceGetClockInfo(device, kind))

        self.tell(SM_CLOCK, where, clock(nvml.NVML_CLOCK_SM))
        self.tell(MEMORY_CLOCK, where, clock(nvml.NVML_CLOCK_MEM))
        self.tell(POWER, f"{where}, the driver's own average", lambda: nvml.nvmlDeviceGetPowerUsage(device) * 1e-3)
        energy = rise(lambda: int(nvml.nvmlDeviceGetTotalEnergyConsumption(device)))
        self.tell(ENERGY, f"{where}, energy counter", scaled(energy, 1e-3))
        sensor = nvml.NVML_TEMPERATURE_GPU
        self.tell(TEMPERATURE, where, lambda: float(nvml.nvmlDeviceGetTemperature(device, sensor)))
        self.tell(MEMORY, where, lambda: float(nvml.nvmlDeviceGetMemoryInfo(device).used))
        self.tell(THROTTLE, where, event_reasons(nvml, device))
        # The reasons are those of this instant, after the block; these counters saw all of it.
        held = total([rise(read) for read in held_back(nvml, device)])
        self.tell(THROTTLED, f"{where}, time held back by power and heat", scaled(held, 1e-6))


def event_reasons(nvml: Any, device: Any) -> Read:
    """Return how to read the mask of reasons: under the new name where driver and package have it, else the old."""
    with contextlib.suppress(Exception):  # a driver older than the package lacks the new function (R535 brought it)
        nvml.nvmlDeviceGetCurrentClocksEventReasons(device)
        return lambda: float(nvml.nvmlDeviceGetCurrentClocksEventReasons(device))
    return lambda: float(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(device))


def held_back(nvml: Any, device: Any) -> list[Callable[[], int]]:
    """Return how to read the nanoseconds during which power, and then heat, held the clocks down.

    As field values they took 0.07 ms each on an H100 (driver 580), by nvmlDeviceGetViolationStatus 1 ms each; older
    drivers and packages have the latter alone.
    """

    def by_field(field: int) -> int:
        value = nvml.nvmlDeviceGetFieldValues(device, [field])[0]
        if value.nvmlReturn != 0:
            raise OSError(f"NVML field {field} answers with error {value.nvmlReturn}")
        return int(value.value.ullVal)

    def by_status(policy: int) -> int:
        return int(nvml.nvmlDeviceGetViolationStatus(device, policy).violationTime)

    with contextlib.suppress(Exception):
        fields = (nvml.NVML_FI_DEV_PERF_POLICY_POWER, nvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN)
        for field in fields:
            by_field(field)
        return [functools.partial(by_field, field) for field in fields]
    policies = (nvml.NVML_PERF_POLICY_POWER, nvml.NVML_PERF_POLICY_THERMAL)
    return [functools.partial(by_status, policy) for policy in policies]


def open_nvml(nvml: ModuleType | None = None) -> Any:
    """Return pynvml, begun, which the caller ends with `nvmlShutdown`; or as `str` why not, and the cure."""
    if nvml is None:
        try:
            import pynvml
        except ImportError:
            return f"the package nvidia-ml-py is not installed; cure: {INSTALL}"
        nvml = pynvml
    module: Any = nvml
    try:
        module.nvmlInit()
    except Exception as error:
        kind = type(error).__name__
        cures = {
            "NVMLError_LibraryNotFound": "install the NVIDIA driver; in a container: docker run --gpus all …",
            "NVMLError_DriverNotLoaded": "sudo modprobe nvidia",
            "NVMLError_LibRmVersionMismatch": "reboot: the driver was updated under the running kernel",
        }
        cure = f"; cure: {cures[kind]}" if kind in cures else ""
        return f"no NVIDIA driver answers ({reason(error)}){cure}"
    return module


def handle(nvml: Any, index: int) -> Any:
    """Return NVML's handle of CUDA's GPU `index`; CUDA_VISIBLE_DEVICES hides and reorders, and NVML ignores it.

    Where CUDA_DEVICE_ORDER is not PCI_BUS_ID, CUDA puts the fastest GPU first. Unlike GPUs in one machine may then
    be mistaken for each other: hence the GPU's name in the source.

    Raises:
        Exception: what NVML raises, or IndexError: CUDA_VISIBLE_DEVICES leaves fewer GPUs.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return nvml.nvmlDeviceGetHandleByIndex(index)
    names = [word.strip() for word in visible.split(",") if word.strip()]
    if index >= len(names):
        raise IndexError(f"CUDA_VISIBLE_DEVICES={visible} leaves {len(names)} GPUs")
    name = names[index]
    return nvml.nvmlDeviceGetHandleByIndex(int(name)) if name.isdecimal() else nvml.nvmlDeviceGetHandleByUUID(name)


def decoded(name: str | bytes) -> str:
    """Return text that older versions of the package give as bytes."""
    return name.decode(errors="replace") if isinstance(name, bytes) else name
