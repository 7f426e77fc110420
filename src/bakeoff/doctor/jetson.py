"""A Jetson board's power mode and clocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from bakeoff.doctor import linux
from bakeoff.records import Finding
from bakeoff.speed.telemetry.base import number, text
from bakeoff.speed.telemetry.jetson import gpu_devfreq, is_jetson

MODE = re.compile(r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)\s*>")
LOCK = "sudo jetson_clocks --store && sudo jetson_clocks (undo: sudo jetson_clocks --restore)"


def check(root: Path) -> list[Finding]:
    """Return what holds the board back; nothing where it is no Jetson."""
    return [*_mode(root), *_clocks(root)] if is_jetson(root) else []


def _mode(root: Path) -> Iterator[Finding]:
    """nvpmodel keeps its mode in a file, so nothing needs to be run (its -q wants root on some releases)."""
    modes = {int(number): name for number, name in MODE.findall(text(root / "etc/nvpmodel.conf") or "")}
    status = re.search(r"pmode:(\d+)", text(root / "var/lib/nvpmodel/status") or "")
    if status is None:
        yield Finding(level="note", topic="power mode", what="can't be told here", cure="sudo nvpmodel -q shows it")
        return
    mode = int(status[1])
    name = modes.get(mode, f"mode {mode}")
    # MAXN_SUPER of JetPack 6.2 is above MAXN; where a board has neither, mode 0 is the largest.
    best = max(modes, key=lambda one: (modes[one].startswith("MAXN"), len(modes[one]), -one), default=0)
    if name.startswith("MAXN") and mode == best:
        yield Finding(level="ok", topic="power mode", what=name)
    else:
        what = f"{name}: cores and clocks are limited; the board's largest is {modes.get(best, f'mode {best}')}"
        cure = f"sudo nvpmodel -m {best} (undo: sudo nvpmodel -m {mode}; some modes want a reboot)"
        yield Finding(level="warning", topic="power mode", what=what, cure=cure)


def _clocks(root: Path) -> Iterator[Finding]:
    cpus = [root / f"sys/devices/system/cpu/cpu{cpu}/cpufreq" for cpu in linux.usable_cpus()]
    pairs = [(folder / "scaling_min_freq", folder / "scaling_max_freq") for folder in cpus]
    gpu = gpu_devfreq(root)
    if gpu is not None:
        pairs.append((gpu / "min_freq", gpu / "max_freq"))
    known = [(low, high) for a, b in pairs if (low := number(a)) is not None and (high := number(b)) is not None]
    if not known:
        return
    if all(low == high for low, high in known):
        yield Finding(level="ok", topic="jetson clocks", what="fixed")
    else:
        what = "the clocks of CPU and GPU follow the load"
        yield Finding(level="warning", topic="jetson clocks", what=what, cure=LOCK)
