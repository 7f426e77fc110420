"""A Jetson board's power rails, GPU clock and GPU temperature, from sysfs; no jetson-stats needed."""

from __future__ import annotations

from pathlib import Path

from bakeoff.speed.telemetry.base import Probe, Read, rise, scaled, text, total
from bakeoff.speed.telemetry.cpu import thermal_zones
from bakeoff.speed.telemetry.nvidia import POWER, SM_CLOCK, TEMPERATURE

BOARD_POWER, THROTTLE = "board_power_w", "board_throttle_events"
# The rail that holds all others where a board has one (Orin Nano and NX, Xavier NX, TX2, Nano). AGX boards measure
# their rails side by side, and the sum is the module's.
WHOLE = ("VDD_IN", "POM_5V_IN", "VIN")
GPU_NAMES = ("gpu", "ga10b", "gv11b", "gp10b")  # devfreq devices: Nano, Orin, Xavier, TX2
ABSENT = "no {} here; only Jetson boards have them, and a container sees them only with /sys mounted"


class JetsonProbe(Probe):
    """The board, and its GPU where that is the device."""

    def __init__(self, root: Path, *, gpu: bool) -> None:
        super().__init__()
        rails = self._rails(root)
        if rails:
            whole = next((name for name in WHOLE if name in rails), None)
            if whole:
                self.tell(BOARD_POWER, f"INA3221 rail {whole}", rails[whole])
            else:
                self.tell(BOARD_POWER, f"sum of INA3221 rails {', '.join(rails)}", total(rails.values()))
        else:
            self.unknown[BOARD_POWER] = ABSENT.format("INA3221 power rails")
        alarms = [
            rise(self.open(path).number) for path in sorted((root / "sys/class/hwmon").glob("hwmon*/oc*_event_cnt"))
        ]
        if alarms:
            self.tell(THROTTLE, f"over-current events, {len(alarms)} counters", total(alarms))
        else:
            self.unknown[THROTTLE] = ABSENT.format("over-current counters (oc*_event_cnt)")
        if gpu:
            self._gpu(root, rails)

    def _gpu(self, root: Path, rails: dict[str, Read]) -> None:
        name = next((name for name in rails if "GPU" in name.upper()), None)
        if name:
            others = name.upper().removeprefix("VDD_").removeprefix("SYS_").removeprefix("POM_5V_") != "GPU"
            self.tell(POWER, f"INA3221 rail {name}{', not the GPU alone' if others else ''}", rails[name])
        else:
            self.unknown[POWER] = ABSENT.format("power rail of the GPU")
        device = gpu_devfreq(root)
        if device is None:
            self.unknown[SM_CLOCK] = ABSENT.format("GPU in devfreq")
        else:
            try:
                clock = self.open(device / "cur_freq").number
            except OSError as error:
                self.unknown[SM_CLOCK] = f"devfreq {device.name}: {error.strerror}"
            else:
                self.tell(SM_CLOCK, f"devfreq {device.name}", scaled(clock, 1e-6))
        zone = next((path for path, kind in thermal_zones(root).items() if "gpu" in kind.lower()), None)
        if zone is None:
            self.unknown[TEMPERATURE] = ABSENT.format("thermal zone of the GPU")
            return
        try:
            temperature = self.open(zone).number
        except OSError as error:
            self.unknown[TEMPERATURE] = f"{zone.parent.name}: {error.strerror}"
            return
        self.tell(TEMPERATURE, f"thermal zone {zone.parent.name}", scaled(temperature, 1e-3))

    def _rails(self, root: Path) -> dict[str, Read]:
        """Return each rail's power in watts."""
        rails: dict[str, Read] = {}
        for name in sorted((root / "sys/class/hwmon").glob("hwmon*/name")):
            if not (text(name) or "").startswith("ina3221"):
                continue
            for label in sorted(name.parent.glob("in[1-3]_label")):  # in7 is the sum of shunt voltages, no rail
                self._add(rails, text(label), name.parent, label.name[2])
        # JetPack 4 and older: an iio device, which multiplies by itself
        for label in sorted((root / "sys/bus/i2c/drivers/ina3221x").glob("*/iio:device*/rail_name_*")):
            rail = text(label)
            if rail and "NC" not in rail.split("_"):
                path = label.parent / f"in_power{label.name.removeprefix('rail_name_')}_input"
                try:
                    rails[rail] = scaled(self.open(path).number, 1e-3)  # mW
                except OSError:
                    continue
        return rails

    def _add(self, rails: dict[str, Read], rail: str | None, folder: Path, channel: str) -> None:
        if not rail or "NC" in rail.split("_"):  # not connected
            return
        try:
            power = folder / f"power{channel}_input"
            if power.exists():
                rails[rail] = scaled(self.open(power).number, 1e-6)  # hwmon's unit is µW
                return
            volts = self.open(folder / f"in{channel}_input")
            amperes = self.open(folder / f"curr{channel}_input")
        except OSError:
            return
        rails[rail] = lambda: volts.number() * amperes.number() * 1e-6  # mV times mA


def is_jetson(root: Path) -> bool:
    """Whether this is a board with a Tegra chip; in a container too, where /proc shows the device tree."""
    return (
        "nvidia,tegra" in (text(root / "proc/device-tree/compatible") or "") or (root / "etc/nv_tegra_release").exists()
    )


def gpu_devfreq(root: Path) -> Path | None:
    """Return the folder with the GPU's clock: `17000000.gpu` or `17000000.ga10b`, as the board calls it."""
    for folder in sorted((root / "sys/class/devfreq").glob("*")):
        known = text(folder / "device/of_node/name") or folder.name.rpartition(".")[2]
        if known in GPU_NAMES or known.startswith("gpu-gpc"):
            return folder
    return None
