"""What moves the CPU's clock: governor, turbo, heat, battery."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bakeoff.doctor import linux
from bakeoff.records import Finding
from bakeoff.speed.telemetry.base import number, text
from bakeoff.speed.telemetry.cpu import thermal_zones

CPU = "sys/devices/system/cpu"
NEAR_C = 10.0  # a detector on all cores heats a small board by more than that within a minute
TRIPS = ("passive", "hot", "critical")  # an active one only starts the fan
NO_TURBO = "echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo (undo: echo 0)"
NO_BOOST = "echo 0 | sudo tee /sys/devices/system/cpu/cpufreq/boost (undo: echo 1)"


def check(root: Path) -> list[Finding]:
    """Return what moves the clock here."""
    return [*_governor(root), *_turbo(root), *_heat(root), *_battery(root)]


def _governor(root: Path) -> Iterator[Finding]:
    files = (root / CPU / f"cpu{cpu}/cpufreq/scaling_governor" for cpu in linux.usable_cpus())
    found = sorted({governor for file in files if (governor := text(file))})
    if not found:
        yield Finding(level="note", topic="governor", what="the CPU's clock is not visible here, as in most VMs")
    elif found == ["performance"]:
        yield Finding(level="ok", topic="governor", what="performance")
    else:
        what = f"{', '.join(found)}: the clock follows the load, so short blocks run slower than long ones"
        yield Finding(level="warning", topic="governor", what=what, cure="sudo cpupower frequency-set -g performance")


def _turbo(root: Path) -> Iterator[Finding]:
    what = "on: the clock depends on heat and on what other cores do"
    no_turbo, boost = number(root / CPU / "intel_pstate/no_turbo"), number(root / CPU / "cpufreq/boost")
    if no_turbo is not None:
        on, cure = no_turbo == 0, NO_TURBO
    elif boost is not None:
        on, cure = boost == 1, NO_BOOST
    else:
        return
    if on:
        yield Finding(level="note", topic="turbo", what=what, cure=cure)
    else:
        yield Finding(level="ok", topic="turbo", what="off")


def _heat(root: Path) -> Iterator[Finding]:
    near, hottest = [], None
    for path, name in thermal_zones(root).items():
        temperature = number(path)
        if temperature is None:
            continue
        celsius = temperature * 1e-3
        hottest = max(hottest, (celsius, name)) if hottest else (celsius, name)
        limits = []
        for kind in path.parent.glob("trip_point_*_type"):
            limit = number(kind.with_name(kind.name.replace("_type", "_temp")))
            if text(kind) in TRIPS and limit is not None and limit > 0:  # drivers say 0 or less for "not set"
                limits.append(limit * 1e-3)
        if limits and celsius > min(limits) - NEAR_C:
            near.append(f"{name} is at {celsius:.0f} °C and slows down from {min(limits):.0f} °C")
    if near:
        cure = "let it cool down, or cool it better: fan, heat sink, airflow"
        yield Finding(level="warning", topic="temperature", what="; ".join(near), cure=cure)
    elif hottest:
        yield Finding(level="ok", topic="temperature", what=f"{hottest[0]:.0f} °C at most ({hottest[1]})")


def _battery(root: Path) -> Iterator[Finding]:
    for supply in sorted((root / "sys/class/power_supply").glob("*")):
        if text(supply / "type") != "Battery" or text(supply / "scope") == "Device":  # a mouse's is a Device's
            continue
        if text(supply / "status") == "Discharging":
            what = f"runs on battery ({supply.name}); most laptops then run slower"
            yield Finding(level="warning", topic="power supply", what=what, cure="plug it in")
        else:
            yield Finding(level="ok", topic="power supply", what="mains")
        return
