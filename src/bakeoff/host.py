"""The machine: what it is, and how much of it this process may use."""

from __future__ import annotations

import math
import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from bakeoff.records import Host

PACKAGES = (
    "numpy",
    "opencv-python-headless",
    "scipy",
    "torch",
    "ultralytics",
    "onnx",
    "onnxruntime",
    "openvino",
    "nncf",
    "tensorrt",
    "tensorrt-rtx-cu13",
)
NVIDIA = Path("/proc/driver/nvidia")
INSTRUCTION_SETS = (
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "amx_int8",
    "amx_bf16",
    "asimddp",
    "i8mm",
)


def describe() -> Host:
    """Read what the machine tells about itself; `None` where it doesn't."""
    name, flags = _cpu()
    return Host(
        cpu=name or platform.processor() or None,
        architecture=platform.machine(),
        cores_physical=psutil.cpu_count(logical=False),
        cores_usable=usable_cores(),
        instruction_sets=tuple(flag for flag in INSTRUCTION_SETS if flag in flags),
        memory_bytes=psutil.virtual_memory().total,
        os=_os_name(),
        kernel=platform.release(),
        python=platform.python_version(),
        governor=_read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        container=_container(),
        virtual="hypervisor" if "hypervisor" in flags else None,
        load_1m=os.getloadavg()[0],
        cpus_usable=usable_cpus(),
        gpus=gpus(),
        gpu_driver=gpu_driver(),
    )


def gpus(root: Path = NVIDIA) -> tuple[str, ...]:
    """Return the names of NVIDIA's GPUs, as the kernel's driver lists them; none on a Jetson."""
    texts = [_read(str(path)) or "" for path in sorted(root.glob("gpus/*/information"))]
    found = (re.search(r"^Model:\s*(.+?)\s*$", text, re.MULTILINE) for text in texts)
    return tuple(match.group(1) for match in found if match is not None)


def gpu_driver(root: Path = NVIDIA) -> str | None:
    """Return the version of NVIDIA's driver; `None` without one."""
    match = re.search(r"\s(\d+\.[\d.]+)\s", _read(str(root / "version")) or "")
    return None if match is None else match.group(1)


def versions() -> dict[str, str]:
    """Return the versions of the installed packages that can change a figure."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def usable_cores() -> int:
    """Return the cores that this process may use at once: affinity and the container's quota, physical ones only.

    An OpenMP runtime that starts more threads than that collapses: 20 times slower, measured.
    """
    allowed = _allowed()
    topology = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    physical = len({_read(topology.format(cpu)) or str(cpu) for cpu in allowed})
    quota = _quota()
    return max(1, physical if quota is None else min(physical, math.ceil(quota)))


def usable_cpus() -> int:
    """Return the logical CPUs that this process may use at once, those of one core counted apart."""
    allowed, quota = len(_allowed()), _quota()
    return max(1, allowed if quota is None else min(allowed, math.ceil(quota)))


def available_memory_bytes() -> int:
    """Return the memory that can be taken without swapping, the container's limit counted in."""
    available: int = psutil.virtual_memory().available
    limit, used = _read("/sys/fs/cgroup/memory.max"), _read("/sys/fs/cgroup/memory.current")
    if limit and limit.isdecimal() and used and used.isdecimal():
        return min(available, max(0, int(limit) - int(used)))
    return available


def _allowed() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def _quota() -> float | None:
    text = _read("/sys/fs/cgroup/cpu.max")
    if text:
        quota, _, period = text.partition(" ")
        return int(quota) / int(period) if quota.isdecimal() and period.isdecimal() else None
    quota_us, period_us = _read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), _read("/sys/fs/cgroup/cpu/cpu.cfs_period_us")
    if quota_us and period_us and quota_us.isdecimal() and period_us.isdecimal():
        return int(quota_us) / int(period_us)
    return None


def _cpu() -> tuple[str, frozenset[str]]:
    name, flags = "", frozenset[str]()
    for line in (_read("/proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model") and not name:
            name = value.strip()
        elif key.strip() in ("flags", "Features") and not flags:
            flags = frozenset(value.split())
    return name or (_read("/proc/device-tree/model") or "").strip("\0"), flags


def _os_name() -> str:
    for line in (_read("/etc/os-release") or "").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return platform.system()


def _container() -> str | None:
    if Path("/.dockerenv").exists():
        return "docker"
    if Path("/run/.containerenv").exists():
        return "podman"
    return None


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
