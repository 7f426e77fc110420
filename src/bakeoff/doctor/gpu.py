"""NVIDIA GPUs: whether a driver answers, and what moves their clocks or uses them beside us."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from bakeoff.doctor.linux import gigabytes
from bakeoff.records import Finding
from bakeoff.speed.telemetry import throttle_words
from bakeoff.speed.telemetry.base import text
from bakeoff.speed.telemetry.jetson import is_jetson
from bakeoff.speed.telemetry.nvidia import decoded, event_reasons, open_nvml

NVIDIA, DISPLAY = "0x10de", ("0x0300", "0x0302")  # PCI ids: vendor, VGA and 3D controllers
SET_BY_USER = 0x2  # nvmlClocksEventReasonApplicationsClocksSetting: also where clocks are locked


def check(root: Path, nvml: ModuleType | None = None) -> list[Finding]:
    """Return what there is to say of NVIDIA GPUs; nothing where there is none. `nvml` stands in for pynvml."""
    if is_jetson(root):  # its GPU is `jetson`'s; NVML knows little of it
        return []
    opened = open_nvml(nvml)
    if isinstance(opened, str):
        return without_driver(root, opened)
    found: list[Finding] = []
    try:
        for index in range(opened.nvmlDeviceGetCount()):
            found += _one(opened, index)
    finally:
        with contextlib.suppress(Exception):
            opened.nvmlShutdown()
    return found


def without_driver(root: Path, why: str) -> list[Finding]:
    """Say why a GPU that the machine has can't be used; nothing where it has none."""
    if not has_nvidia_gpu(root):
        return []
    loaded = (root / "proc/driver/nvidia/version").exists()
    what, _, cure = why.partition("; cure: ")
    if loaded and "not installed" in what:
        return [Finding(level="note", topic="gpu", what=f"an NVIDIA GPU, unseen: {what}", cure=cure)]
    return [
        Finding(
            level="problem",
            topic="gpu",
            what=f"an NVIDIA GPU that nothing can use: {what}",
            cure=cure or "install the NVIDIA driver; Ubuntu: sudo ubuntu-drivers install",
        )
    ]


def has_nvidia_gpu(root: Path) -> bool:
    """Whether the machine has an NVIDIA GPU, driver or not."""
    if (root / "proc/driver/nvidia/version").exists():
        return True
    return any(
        text(vendor) == NVIDIA and (text(vendor.with_name("class")) or "").startswith(DISPLAY)
        for vendor in (root / "sys/bus/pci/devices").glob("*/vendor")
    )


def driver_cuda(nvml: ModuleType | None = None) -> tuple[int, int] | None:
    """Return the newest CUDA version that the driver runs; None where no driver answers."""
    opened = open_nvml(nvml)
    if isinstance(opened, str):
        return None
    try:
        version = int(opened.nvmlSystemGetCudaDriverVersion_v2())
    except Exception:
        return None
    finally:
        with contextlib.suppress(Exception):
            opened.nvmlShutdown()
    return version // 1000, version % 1000 // 10


def _one(nvml: Any, index: int) -> Iterator[Finding]:
    topic = f"gpu {index}"
    try:
        device = nvml.nvmlDeviceGetHandleByIndex(index)
        name = decoded(nvml.nvmlDeviceGetName(device))
    except Exception as error:
        yield Finding(level="problem", topic=topic, what=f"can't be opened: {error}", cure="sudo dmesg | grep -i nvrm")
        return
    yield Finding(
        level="ok", topic=topic, what=f"{name}, driver {decoded(_ask(nvml.nvmlSystemGetDriverVersion) or '?')}"
    )
    if _ask(lambda: nvml.nvmlDeviceGetPersistenceMode(device)) == 0:
        what = "persistence mode is off: the driver may be loaded anew for each process"
        yield Finding(level="warning", topic=topic, what=what, cure=f"sudo nvidia-smi -i {index} -pm 1 (undo: -pm 0)")
    yield from _clocks(nvml, device, index, topic)
    mig = _ask(lambda: nvml.nvmlDeviceGetMigMode(device))
    if mig and mig[0]:
        what = "MIG is on: a part of the GPU is timed, and other parts share its power and memory clock"
        yield Finding(level="warning", topic=topic, what=what, cure=f"sudo nvidia-smi -i {index} -mig 0 (undo: -mig 1)")
    yield from _others(nvml, device, index, topic)


def _clocks(nvml: Any, device: Any, index: int, topic: str) -> Iterator[Finding]:
    mask = _ask(event_reasons(nvml, device))
    words = throttle_words(int(mask)) if mask is not None else ()
    if words:
        cure = f"nvidia-smi -i {index} -q -d PERFORMANCE,TEMPERATURE,POWER shows more; cool it, or wait"
        yield Finding(level="warning", topic=topic, what=f"held back right now: {', '.join(words)}", cure=cure)
    if mask is not None and int(mask) & SET_BY_USER:
        yield Finding(level="ok", topic=topic, what="its clocks are limited by a setting")
        return
    # NVML has no way to ask whether clocks are locked; unlocked is what every GPU starts with.
    highest = _ask(lambda: nvml.nvmlDeviceGetMaxClockInfo(device, nvml.NVML_CLOCK_SM))
    clock = f"{int(highest * 0.75)}" if highest else "MHZ"  # the top clock does not last under load; three quarters do
    what = "nothing says that its clocks are locked: they follow heat and power"
    lock = f"sudo nvidia-smi -i {index} -lgc {clock},{clock} (undo: sudo nvidia-smi -i {index} -rgc)"
    yield Finding(level="note", topic=topic, what=what, cure=lock)


def _others(nvml: Any, device: Any, index: int, topic: str) -> Iterator[Finding]:
    running: list[Any] = []
    for ask in ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses"):
        running += _ask(lambda ask=ask: getattr(nvml, ask)(device)) or []  # type: ignore[misc]
    memory = {process.pid: process.usedGpuMemory for process in running if process.pid != os.getpid()}
    if memory:
        named = [f"pid {pid}" + (f" with {gigabytes(used)}" if used else "") for pid, used in memory.items()]
        what = f"used by others: {', '.join(named[:5])}{' …' if len(named) > 5 else ''}"
        cure = f"end them, or wait; nvidia-smi -i {index} shows them by name"
        yield Finding(level="warning", topic=topic, what=what, cure=cure)


def _ask(question: Callable[[], Any]) -> Any:
    """Return the answer; None where this GPU or driver has none."""
    try:
        return question()
    except Exception:
        return None
