"""How each Candidate's time went round by round, and the machine meanwhile; medians of blocks, thinned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from bakeoff.report.html.charts import labels
from bakeoff.report.html.rows import Json, Row, short
from bakeoff.report.sustain import SHOWN
from bakeoff.report.table import View
from bakeoff.speed.conditions import Windows
from bakeoff.speed.samples import MS, Timings, WorkloadSamples

POINTS = 150  # of a line; more are medians of neighbours
TOLD = (*SHOWN, "cpu_steal_share")
NAMES = {**SHOWN, "cpu_steal_share": "time that the hypervisor gave to others, share"}
Floats = npt.NDArray[np.float64]


def timeline(view: View, rows: Sequence[Row], timings: Timings, windows: Windows) -> list[Json]:
    """Return a chart a Workload: each Candidate's block medians by round, flagged blocks, telemetry."""
    charts = []
    for workload in map(str, view.run.settings.workloads):
        found = {row.key: timings[row.key, workload] for row in rows if (row.key, workload) in timings}
        if not found:
            continue
        every = np.unique(np.concatenate([samples.round for samples in found.values()]))
        series = [_series(row, found[row.key], every, windows) for row in rows if row.key in found]
        first = found.get(view.run.reference, next(iter(found.values())))
        changes = np.flatnonzero(np.diff(first.generation)) + 1
        charts.append(
            {
                "workload": workload,
                "rounds": len(every),
                "series": series,
                "generations": np.searchsorted(every, first.round[changes]).tolist(),
                "telemetry": _telemetry(found, every, windows),
            }
        )
    return charts


def _series(row: Row, samples: WorkloadSamples, every: npt.NDArray[np.int32], windows: Windows) -> Json:
    at = np.searchsorted(every, samples.round)
    medians = samples.block_medians_ns * MS
    x, y = thin(at, medians)
    return {
        **labels(row),
        "median": short(float(np.median(samples.latency_ns)) * MS),
        "x": x,
        "y": y,
        "flagged": at[_flagged(samples, windows)].tolist(),
    }


def _flagged(samples: WorkloadSamples, windows: Windows) -> npt.NDArray[np.bool_]:
    if "busy" not in windows:
        return np.zeros(len(samples.round), bool)
    flags = np.append(windows["busy"] | windows["throttled"], False)  # the last is of no window
    known = (samples.window >= 0) & (samples.window < len(flags) - 1)
    return np.asarray(flags[np.where(known, samples.window, -1)], bool)


def thin(x: npt.NDArray[np.integer], y: Floats) -> tuple[list[float], list[float]]:
    """Return at most `POINTS` points of a line, each the median of neighbours; unknown ones (NaN) are left out."""
    known = np.isfinite(y)
    order = np.argsort(x[known], kind="stable")
    parts = min(POINTS, len(order))
    if not parts:
        return [], []
    pairs = zip(np.array_split(x[known][order], parts), np.array_split(y[known][order], parts), strict=True)
    points = [(float(np.median(a)), float(f"{np.median(b):.4g}")) for a, b in pairs]
    return [a for a, _ in points], [b for _, b in points]


def _telemetry(found: Mapping[str, WorkloadSamples], every: npt.NDArray[np.int32], windows: Windows) -> list[Json]:
    """Return the quantities that the host told, by round: of a round's blocks the mean."""
    at = np.concatenate([np.searchsorted(every, samples.round) for samples in found.values()])
    window = np.concatenate([samples.window for samples in found.values()])
    told = []
    for name in TOLD:
        values = windows.get(name)
        if values is None or not np.isfinite(values).any():
            continue
        known = (window >= 0) & (window < len(values))
        known[known] = np.isfinite(values[window[known]])
        counts = np.bincount(at[known], minlength=len(every))
        sums = np.bincount(at[known], values[window[known]], len(every))
        means = np.divide(sums, counts, out=np.full(len(every), np.nan), where=counts > 0)
        x, y = thin(np.arange(len(every)), means)
        if x:
            told.append({"name": NAMES[name], "x": x, "y": y})
    return told
