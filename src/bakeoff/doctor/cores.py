"""Which cores this process may use: affinity, quota, SMT, and whether they are real."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from bakeoff.doctor import linux
from bakeoff.records import Finding
from bakeoff.records.doctor import Level
from bakeoff.speed.telemetry.base import cpu_list, text
from bakeoff.speed.telemetry.cgroup import folders
from bakeoff.speed.telemetry.cpu import one_a_core

CPU = "sys/devices/system/cpu"
SMT_OFF = "echo off | sudo tee /sys/devices/system/cpu/smt/control (undo: echo on)"


def check(root: Path) -> list[Finding]:
    """Return what limits the cores."""
    cpus = linux.usable_cpus()
    return [*_affinity(root, cpus), *_quota(root, cpus), *_siblings(root, cpus), *_virtual(root)]


def _affinity(root: Path, cpus: Sequence[int]) -> Iterator[Finding]:
    online = cpu_list(text(root / CPU / "online") or "") or list(range(os.cpu_count() or 1))
    every, usable = len(one_a_core(root / CPU, online)), len(one_a_core(root / CPU, cpus))
    if usable < every:
        what = f"{usable} of the machine's {every} cores may be used (affinity): others run beside us on the rest"
        cure = f"taskset -c {ranges(online)} bakeoff …; in a container: docker run --cpuset-cpus={ranges(online)} …"
        yield Finding(level="note", topic="cores", what=what, cure=cure)
    else:
        yield Finding(level="ok", topic="cores", what=f"all {every} usable")


def _quota(root: Path, cpus: Sequence[int]) -> Iterator[Finding]:
    quota = cpu_quota(root)
    if quota is None:
        return
    level: Level = "warning" if quota < len(cpus) else "note"
    what = f"a quota of {quota:g} CPUs: whoever uses it up is stopped until the next period, up to 0.1 s"
    cure = (
        "run it without one: docker run without --cpus; systemd-run without CPUQuota; Kubernetes: whole CPUs, limits "
        "equal to requests, CPU manager policy static"
    )
    yield Finding(level=level, topic="cpu quota", what=what, cure=cure)


def _siblings(root: Path, cpus: Sequence[int]) -> Iterator[Finding]:
    single = one_a_core(root / CPU, cpus)
    if len(single) < len(cpus):
        what = f"SMT is on: {len(cpus)} CPUs on {len(single)} cores; what runs on a core's other thread slows ours"
        cure = f"taskset -c {ranges(single)} bakeoff …, or {SMT_OFF}"
        yield Finding(level="note", topic="smt", what=what, cure=cure)
    elif len(single) > 1:
        yield Finding(level="ok", topic="smt", what="no two usable CPUs share a core, as far as the kernel tells")


def _virtual(root: Path) -> Iterator[Finding]:
    flags = text(root / "proc/cpuinfo") or ""
    product = text(root / "sys/class/dmi/id/product_name") or text(root / "sys/hypervisor/type")
    if any(line.startswith("flags") and " hypervisor" in line for line in flags.splitlines()):
        what = f"a virtual machine{f' ({product})' if product else ''}: neighbours that it can't see share its cores"
        yield Finding(level="note", topic="virtual machine", what=what, cure="a dedicated or bare-metal machine")


def cpu_quota(root: Path) -> float | None:
    """Return the smallest quota of this process's control groups, in CPUs; None where there is none."""
    found = []
    for folder in folders(root, ""):
        quota, _, period = (text(folder / "cpu.max") or "").partition(" ")
        if quota.isdecimal() and period.isdecimal():
            found.append(int(quota) / int(period))
    for folder in folders(root, "cpu"):
        quota, period = text(folder / "cpu.cfs_quota_us") or "", text(folder / "cpu.cfs_period_us") or ""
        if quota.isdecimal() and period.isdecimal():  # -1: none
            found.append(int(quota) / int(period))
    return min(found, default=None)


def ranges(cpus: Sequence[int]) -> str:
    """Write a set of CPUs as taskset reads it: `0-3,8`."""
    parts: list[list[int]] = []
    for cpu in sorted(cpus):
        if parts and cpu == parts[-1][-1] + 1:
            parts[-1].append(cpu)
        else:
            parts.append([cpu])
    return ",".join(str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts)
