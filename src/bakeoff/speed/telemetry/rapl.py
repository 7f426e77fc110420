"""Energy of Intel and AMD CPU packages, from the powercap counters (RAPL)."""

from __future__ import annotations

from pathlib import Path

from bakeoff.speed.telemetry.base import Probe, Read, number, rise, scaled, text, total

ENERGY = "cpu_energy_j"
# Root alone may read it since Linux 5.10: other users' secrets leak through fine-grained energy (CVE-2020-8694).
CURE = "sudo chmod a+r /sys/class/powercap/intel-rapl:?/energy_uj (until the next boot; it opens a side channel)"


class RaplProbe(Probe):
    """Joules of all packages of the machine, whoever used them."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        counters: list[Read] = []
        names: list[str] = []
        # AMD's are called intel-rapl too. `intel-rapl:0:0` is a part of its package, `intel-rapl-mmio` the same again.
        for folder in sorted((root / "sys/class/powercap").glob("intel-rapl:*")):
            name = text(folder / "name") or ""
            if folder.name.count(":") != 1 or not name.startswith("package"):
                continue
            try:
                file = self.open(folder / "energy_uj")
            except PermissionError:
                self.unknown[ENERGY] = f"RAPL: only root may read energy_uj; cure: {CURE}"
                return
            except OSError:
                continue
            counters.append(rise(file.number, number(folder / "max_energy_range_uj")))
            names.append(name)
        if not counters:
            self.unknown[ENERGY] = (
                "no RAPL counter here; VMs and Arm boards have none, elsewhere sudo modprobe intel_rapl_msr"
            )
            return
        self.tell(ENERGY, f"RAPL energy_uj of {', '.join(names)} (the whole machine's)", scaled(total(counters), 1e-6))
