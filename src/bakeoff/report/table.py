"""The table: one row a Candidate, reference first, the columns of contract 2."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from bakeoff import judge
from bakeoff.accuracy.operating_point import FIGURES
from bakeoff.records import Estimate, Trial, Workload
from bakeoff.stats import Ratio
from bakeoff.view import Line as Line
from bakeoff.view import View as View
from bakeoff.view import workloads as workloads

COLUMNS = (
    "candidate",
    "label",
    "backend",
    "precision",
    "shape",
    "device",
    "status",
    "reason",
    "verdict",
    "tied_with",
    "images",
    "val_precision",
    "val_recall",
    "val_map50",
    "val_map50_95",
    "map_delta",
    "map_delta_low",
    "map_delta_high",
    "latency_1x1_ms",
    "latency_1x1_p95_ms",
    "latency_1x1_p99_ms",
    "latency_1x1_mean_ms",
    "latency_1x2_ms",
    "latency_2x1_ms",
    "two_frames_ms",
    "frames_1x1_s",
    "frames_2x1_s",
    "speedup_1x1",
    "speedup_1x1_low",
    "speedup_1x1_high",
    "run_1x1_ms",
    "pre_1x1_ms",
    "post_1x1_ms",
    "convert_s",
    "load_s",
    "first_run_ms",
    "size_bytes",
    "peak_memory_bytes",
    "energy_j_per_frame",
)
BOUNDS = ("", "_low", "_high")
AGREEMENT = ("matched_share", "mean_iou", "score_shift", "class_flips")
FIXED_WORKLOADS = ("1x1", "1x2", "2x1")
CAMERAS = ("cameras", "cameras_low", "cameras_high", "cameras_streams")
SUSTAINED = ("sustained_p50_ms", *(f"sustained_drift{bound}" for bound in BOUNDS))
CHANCES = {name: f"chance_{name.replace('-', '_')}" for name in judge.FIELDS}
COUNTS = frozenset(  # columns of whole numbers
    {"images", "size_bytes", "peak_memory_bytes", "samples_1x1", "outliers_1x1", "rounds_1x1",
     "samples_missing_for_p99_1x1", "flagged_blocks_1x1", "calibration_draws", "float_layers", *CAMERAS}
)  # fmt: skip
Cell = str | int | float | None


def columns(view: View) -> tuple[str, ...]:
    """Return the column names: the contract's, then those for other Workloads and definitions."""
    return columns_with(view.run.settings.workloads)


def columns_with(timed: Sequence[Workload]) -> tuple[str, ...]:
    """Return the column names of a Run with these Workloads."""
    more = [str(w) for w in timed if str(w) not in FIXED_WORKLOADS]
    return (
        *COLUMNS,
        *(f"latency_{w}_ms" for w in more),
        *(f"frames_{w}_s" for w in ("1x2", *more)),
        *(f"frames_per_s_{w}" for w in (*FIXED_WORKLOADS, *more)),
        *(f"{name}_delta{bound}" for name in ("precision", "recall", "map50") for bound in BOUNDS),
        *(f"val_{name}{bound}" for name in ("precision", "recall", "map50", "map50_95") for bound in BOUNDS[1:]),
        "confidence",
        *(f"op_{name}{bound}" for name in FIGURES for bound in BOUNDS),
        *(f"op_{name}_delta{bound}" for name in FIGURES for bound in BOUNDS),
        "restoring_confidence",
        "restoring_false_alarms_per_image",
        *(f"d_ece{bound}" for bound in BOUNDS),
        *(f"d_ece_delta{bound}" for bound in BOUNDS),
        *(f"{name}{bound}" for name in AGREEMENT for bound in BOUNDS),
        "box_error_px",
        "score_error",
        "calibration_draws",
        "calibration_map_low",
        "calibration_map_high",
        "float_layers",
        "coco_map50_95",
        "coco_map50",
        "coco_map75",
        "coco_ar100",
        "samples_1x1",
        "outliers_1x1",
        "warm_up_settled",
        "rounds_1x1",
        *(f"{name}{bound}" for name in ("latency_1x1_p50_ms", "latency_1x1_p95_ms") for bound in BOUNDS[1:]),
        *(f"latency_1x1_p99_ms{bound}" for bound in BOUNDS[1:]),
        "samples_missing_for_p99_1x1",
        "jitter_1x1_ms",
        "worst_1x1_ms",
        "rest_1x1_ms",
        *(f"frames_per_s_{w}{bound}" for w in (*FIXED_WORKLOADS, *more) for bound in BOUNDS[1:]),
        *(f"speedup_{w}{bound}" for w in ("1x2", "2x1", *more) for bound in BOUNDS),
        "cold_start_s",
        "timing_ended_1x1",
        "flagged_blocks_1x1",
        *CHANCES.values(),
        *CAMERAS,
        *SUSTAINED,
    )


def row(view: View, line: Line) -> dict[str, Cell]:
    """Return one Candidate's cells by column; `None` is an empty cell."""
    trial, accuracy = line.trial, line.trial.accuracy
    candidate = trial.candidate
    single = line.latencies.get("1x1")
    bound = None if trial.reported else 1.0
    ratio = Ratio(value=1.0, low=bound, high=bound) if line.key == view.run.reference and single else None
    ratio = line.speedups.get("1x1", ratio)
    cells: dict[str, Cell] = {
        "candidate": candidate.key,
        "label": candidate.label,
        "backend": candidate.backend,
        "precision": candidate.precision,
        "shape": candidate.shape,
        "device": None if trial.session is None else trial.session.device,
        "status": trial.status,
        "reason": trial.reason or None,
        "verdict": line.verdict.verdict or None,
        "tied_with": " ".join(line.verdict.tied_with) or None,
        "convert_s": trial.convert_s,
        "load_s": trial.load_s,
        "first_run_ms": trial.first_run_ms,
        "cold_start_s": trial.cold_start_s,
        "size_bytes": None if trial.artifact is None else trial.artifact.size_bytes,
        "peak_memory_bytes": trial.peak_memory_bytes,
        "two_frames_ms": line.two_frames_ms,
    }
    if accuracy is not None:
        cells |= {
            "images": accuracy.images,
            "val_precision": accuracy.precision,
            "val_recall": accuracy.recall,
            "val_map50": accuracy.map50,
            "val_map50_95": accuracy.map50_95,
            **{f"coco_{name}": value for name, value in accuracy.coco.items()},
        }
    cells |= _estimates(trial, is_reference=line.key == view.run.reference)
    for workload, latency in line.latencies.items():
        cells |= {
            f"latency_{workload}_ms": latency.median_ms,
            f"frames_{workload}_s": latency.frames_s,
            f"frames_per_s_{workload}": latency.frames_per_s,
        }
        if "frames_per_s" in latency.intervals:
            low, high = latency.intervals["frames_per_s"]
            cells |= {f"frames_per_s_{workload}_low": low, f"frames_per_s_{workload}_high": high}
    for workload, paired in line.speedups.items():
        put = {"": paired.value, "_low": paired.low, "_high": paired.high}
        cells |= {f"speedup_{workload}{bound}": value for bound, value in put.items()}
    if single is not None:
        cells |= {
            "latency_1x1_p95_ms": single.p95_ms,
            "latency_1x1_p99_ms": single.p99_ms,
            "latency_1x1_mean_ms": single.mean_ms,
            "run_1x1_ms": single.run_ms,
            "pre_1x1_ms": single.pre_ms,
            "post_1x1_ms": single.post_ms,
            "samples_1x1": single.samples,
            "outliers_1x1": single.outliers,
            "rounds_1x1": single.rounds,
            "samples_missing_for_p99_1x1": single.missing_for_p99,
            "jitter_1x1_ms": single.jitter_ms,
            "worst_1x1_ms": None if single.worst is None else single.worst.ms,
            "rest_1x1_ms": single.rest_ms,
            "timing_ended_1x1": view.run.timing.get("ended", {}).get("1x1"),
        }
        for name, column in (("median_ms", "p50_ms"), ("p95_ms", "p95_ms"), ("p99_ms", "p99_ms")):
            if name in single.intervals:
                low, high = single.intervals[name]
                cells |= {f"latency_1x1_{column}_low": low, f"latency_1x1_{column}_high": high}
    if "1x1" in line.conditions:
        around = line.conditions["1x1"]
        cells |= {"flagged_blocks_1x1": around.flagged, "energy_j_per_frame": around.energy_j_per_frame}
    if ratio is not None:
        cells |= {"speedup_1x1": ratio.value, "speedup_1x1_low": ratio.low, "speedup_1x1_high": ratio.high}
    cells |= _loads(trial)
    cells |= {CHANCES[name]: chance for name, chance in line.verdict.chances.items()}
    if trial.warm_up:
        cells["warm_up_settled"] = "yes" if all(warm.settled for warm in trial.warm_up) else "no"
    if trial.reported:
        if line.map_delta is not None:
            cells["map_delta"] = line.map_delta.value
        cells |= {name: _count(name, value) for name, value in trial.reported.items()}
    return {name: cells.get(name) for name in columns(view)}


def _estimates(trial: Trial, *, is_reference: bool) -> dict[str, Cell]:
    """Return the cells of accuracy figures with intervals; the reference differs from itself by nothing."""
    none = Estimate(value=0.0, low=0.0, high=0.0) if is_reference and trial.accuracy is not None else None
    cells: dict[str, Cell] = {}

    def put(name: str, one: Estimate | None) -> None:
        if one is not None:
            cells.update({name: one.value, f"{name}_low": one.low, f"{name}_high": one.high})

    put("map_delta", trial.map_delta or none)
    put("map50_delta", trial.map50_delta or none)
    put("precision_delta", trial.precision_delta or none)
    put("recall_delta", trial.recall_delta or none)
    if trial.accuracy is not None:
        for name, (low, high) in trial.accuracy.intervals.items():
            cells |= {f"val_{name}_low": low, f"val_{name}_high": high}
    if (point := trial.operating_point) is not None:
        cells |= {
            "confidence": point.confidence,
            "restoring_confidence": point.restoring_confidence,
            "restoring_false_alarms_per_image": point.restoring_false_alarms_per_image,
        }
        for name in FIGURES:
            put(f"op_{name}", getattr(point, name))
            put(f"op_{name}_delta", point.deltas.get(name, none))
        put("d_ece", point.d_ece)
        put("d_ece_delta", point.d_ece_delta or none)
    if (agreement := trial.agreement) is not None:
        for name in AGREEMENT:
            put(name, getattr(agreement, name))
    if trial.parity is not None:
        errors = {group.group: group.max_error for group in trial.parity.reference}
        cells |= {"box_error_px": errors.get("boxes"), "score_error": errors.get("scores")}
    if trial.calibration_draws and trial.accuracy is not None:
        values = [trial.accuracy.map50_95, *(draw.map50_95 for draw in trial.calibration_draws)]
        cells |= {
            "calibration_draws": len(values),
            "calibration_map_low": min(values),
            "calibration_map_high": max(values),
        }
    if trial.repair:
        cells["float_layers"] = trial.repair[-1].float_layers
    return cells


def _loads(trial: Trial) -> dict[str, Cell]:
    """Return the cells of cameras and of sustained load."""
    cells: dict[str, Cell] = {}
    if (one := trial.cameras) is not None:
        cells |= dict(zip(CAMERAS, (one.cameras, one.low, one.high, one.streams), strict=True))
    if (load := trial.sustained) is not None:
        drift = load.drift
        figures = (load.p50_ms, *((None, None, None) if drift is None else (drift.value, drift.low, drift.high)))
        cells |= dict(zip(SUSTAINED, figures, strict=True))
    return cells


def _count(column: str, value: float) -> Cell:
    """Return somebody else's figure as the kind of number that its column holds."""
    return int(value) if value.is_integer() and column in COUNTS else value


def write_csv(view: View, path: Path) -> None:
    """Write `table.csv`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns(view))
        for line in view.lines:
            writer.writerow([_text(cell) for cell in row(view, line).values()])


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    return f"{cell:.7g}" if isinstance(cell, float) else str(cell)
