"""What the machine was like while a Candidate's blocks were timed, from the windows of telemetry that they lie in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bakeoff.records import Workload
from bakeoff.speed.samples import Timings, WorkloadSamples

Windows = Mapping[str, npt.NDArray[Any]]  # by quantity, each (W,): docs/telemetry.md
ENERGIES = ("gpu_energy_j", "cpu_energy_j")  # the first that is known
SHOWN = ("cpu_mhz", "cpu_temperature_c", "gpu_sm_mhz", "gpu_temperature_c", "gpu_power_w", "board_power_w")


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Of one Candidate and Workload; a flagged block was timed while the machine was busy or throttled."""

    blocks: int  # of which telemetry tells something
    busy: int
    throttled: int
    flagged: int  # busy or throttled, or both; none is left out
    means: Mapping[str, float]  # of the quantities in `SHOWN`
    energy_j_per_frame: float | None


def conditions(timings: Timings, windows: Windows) -> dict[tuple[str, str], Conditions]:
    """Return the conditions of every Candidate and Workload that telemetry tells something of."""
    if "start_ns" not in windows:
        return {}
    count = len(windows["start_ns"])
    blocks = {who: (samples, samples.window[(samples.window >= 0) & (samples.window < count)])
              for who, samples in timings.items()}  # fmt: skip
    owners: dict[int, set[tuple[str, str]]] = defaultdict(set)
    for who, (_, lies_in) in blocks.items():
        for window in np.unique(lies_in).tolist():
            owners[window].add(who)
    found = {}
    for who, (samples, lies_in) in blocks.items():
        if len(lies_in):
            alone = np.array([window for window in np.unique(lies_in).tolist() if len(owners[window]) == 1], np.int64)
            found[who] = Conditions(
                blocks=len(lies_in),
                busy=int(windows["busy"][lies_in].sum()),
                throttled=int(windows["throttled"][lies_in].sum()),
                flagged=int((windows["busy"] | windows["throttled"])[lies_in].sum()),
                means=_means(windows, lies_in),
                energy_j_per_frame=_energy(samples, Workload.parse(who[1]), windows, alone),
            )
    return found


def _means(windows: Windows, lies_in: npt.NDArray[np.int64]) -> dict[str, float]:
    values = {name: windows[name][lies_in] for name in SHOWN if name in windows}
    return {name: float(np.nanmean(found)) for name, found in values.items() if np.isfinite(found).any()}


def _energy(
    samples: WorkloadSamples, workload: Workload, windows: Windows, alone: npt.NDArray[np.int64]
) -> float | None:
    """Return the energy of one frame: that of windows with blocks of this alone, over all predictions made in them.

    Counted is what the machine took from block to block, the uncounted prediction and the threads' rest included. With
    more streams than one it can't be told: the first ones that are done go on, uncounted, until the last is.
    """
    if workload.streams > 1:
        return None
    for name in ENERGIES:
        joules = windows[name][alone] if name in windows else np.empty(0)
        known = alone[np.isfinite(joules)] if len(joules) else alone[:0]
        if len(known):
            blocks = int(np.isin(samples.window, known).sum())
            predictions: int = blocks * (samples.latency_ns.shape[2] + 1)
            joules_in_all = float(windows[name][known].sum())
            return joules_in_all / (predictions * workload.batch)
    return None
