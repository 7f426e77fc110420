"""The CPU's clock, temperature and thermal throttling, from sysfs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bakeoff.speed.telemetry.base import KernelFile, Probe, Read, number, rise, scaled, text, total

CLOCK, TEMPERATURE, THROTTLE = "cpu_mhz", "cpu_temperature_c", "cpu_throttle_events"
# Kernels 4.13 to 5.17 sleep 10 ms for each core's frequency where it is stale (arch_freq_get_on_cpu): a server with
# 64 cores would take most of a second. Eight tell a drift as well as all do.
MOST_CORES = 8
CPU_ZONES = ("x86_pkg_temp", "cpu", "soc", "core", "big", "little", "tcpu")  # thermal zones that are the CPU's own
CPU_SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")  # hwmon drivers; AMD has no thermal zone


class CpuProbe(Probe):
    """Of the cores that this process may use."""

    def __init__(self, root: Path, cpus: Sequence[int]) -> None:
        super().__init__()
        folder = root / "sys/devices/system/cpu"
        cores = one_a_core(folder, cpus)
        self._clock(folder, cores)
        self._temperature(root)
        self._throttling(folder, cores)

    def _clock(self, folder: Path, cores: Sequence[int]) -> None:
        chosen = cores[:MOST_CORES]
        try:
            files = [self.open(folder / f"cpu{cpu}/cpufreq/scaling_cur_freq") for cpu in chosen]
        except OSError:
            self.unknown[CLOCK] = "no cpufreq here; most virtual machines hide the clock"
            return
        count = f"{len(chosen)}" if len(chosen) == len(cores) else f"{len(chosen)} of {len(cores)}"
        mean = scaled(total([file.number for file in files]), 1e-3 / len(files))  # the files are in kHz
        self.tell(CLOCK, f"cpufreq scaling_cur_freq, mean of {count} core{'s' if len(cores) > 1 else ''}", mean)

    def _temperature(self, root: Path) -> None:
        zones = cpu_sensors(root)
        if not zones:
            self.unknown[TEMPERATURE] = "no thermal zone or sensor here; most virtual machines hide them"
            return
        names = ", ".join(dict.fromkeys(zones.values()))
        files = [file for path in zones if (file := self._readable(path))]
        if not files:
            self.unknown[TEMPERATURE] = f"the sensors {names} can't be read"
            return
        self.tell(TEMPERATURE, f"highest of {names}", scaled(lambda: max(file.number() for file in files), 1e-3))

    def _readable(self, path: Path) -> KernelFile | None:
        """Open a sensor, unless it tells nothing: many boards have zones that are switched off."""
        try:
            file = self.open(path)
            file.number()
        except (OSError, ValueError):
            return None
        return file

    def _throttling(self, folder: Path, cores: Sequence[int]) -> None:
        counters: list[Read] = []
        packages = set()
        for cpu in cores:
            names = ["core_throttle_count"]
            package = number(folder / f"cpu{cpu}/topology/physical_package_id")
            if package not in packages:  # every core of a package shows the same count
                packages.add(package)
                names.append("package_throttle_count")
            for name in names:
                try:
                    counters.append(rise(self.open(folder / f"cpu{cpu}/thermal_throttle/{name}").number))
                except OSError:
                    continue
        if counters:
            self.tell(THROTTLE, f"thermal_throttle counts of {len(cores)} cores and their packages", total(counters))
        else:
            self.unknown[THROTTLE] = (
                "no thermal_throttle counters here: only Intel CPUs outside virtual machines have them"
            )


def one_a_core(folder: Path, cpus: Sequence[int]) -> list[int]:
    """Return the first usable CPU of each physical core; `folder` is that of the CPUs in sysfs."""
    found: dict[str, int] = {}
    for cpu in sorted(cpus):
        siblings = text(folder / f"cpu{cpu}/topology/thread_siblings_list")
        found.setdefault(siblings or str(cpu), cpu)
    return list(found.values())


def cpu_sensors(root: Path) -> dict[Path, str]:
    """Return the files with the CPU's temperature in thousandths of a degree Celsius -> the sensor's name.

    Thermal zones of the CPU come first, then hwmon's CPU drivers, then whatever zones there are.
    """
    zones = thermal_zones(root)
    own = {path: name for path, name in zones.items() if any(word in name.lower() for word in CPU_ZONES)}
    if own:
        return own
    sensors: dict[Path, str] = {}
    for name in sorted((root / "sys/class/hwmon").glob("hwmon*/name")):
        driver = text(name) or ""
        if driver in CPU_SENSORS:
            sensors.update(dict.fromkeys(sorted(name.parent.glob("temp*_input"))[:MOST_CORES], f"hwmon {driver}"))
    return sensors or zones


def thermal_zones(root: Path) -> dict[Path, str]:
    """Return the file with each thermal zone's temperature -> the zone's type."""
    folders = sorted((root / "sys/class/thermal").glob("thermal_zone*"))
    return {folder / "temp": text(folder / "type") or folder.name for folder in folders}
