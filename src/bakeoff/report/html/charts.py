"""What the page's charts of one figure a Candidate show: panels of dots, bars, ranges or stacks, a row a Candidate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bakeoff.report.html.rows import GLYPHS, Json, Row, mark, short
from bakeoff.report.table import View

MB = 1e-6
CLASSES = 8  # panels; the table below has all classes
ACCURACY = {
    "val_precision": "precision",
    "val_recall": "recall",
    "val_map50": "mAP50",
    "val_map50_95": "mAP50-95",
}
COSTS = (  # column, title, unit, scale
    ("convert_s", "conversion", "s", 1.0),
    ("load_s", "loading", "s", 1.0),
    ("first_run_ms", "first run", "ms", 1.0),
    ("size_bytes", "size", "MB", MB),
    ("peak_memory_bytes", "peak memory", "MB", MB),
)


def charts(view: View, rows: Sequence[Row]) -> dict[str, Json]:
    """Return the charts that there are figures for, by name."""
    found = {
        "accuracy": _chart(rows, "dot", _accuracy(view, rows)),
        "deltas": _chart(rows, "dot", _deltas(view, rows)),
        "latency": _chart(rows, "range", _latency(view, rows)),
        "parts": _chart(rows, "stack", _parts(rows)),
        "throughput": _chart(rows, "bar", _throughput(view, rows)),
        "jobs": _chart(rows, "bar", _jobs(view, rows)),
        "costs": _chart(rows, "bar", _costs(view, rows)),
        "classes": _chart(rows, "dot", _classes(rows)),
    }
    return {name: chart for name, chart in found.items() if chart is not None}


def _chart(rows: Sequence[Row], style: str, panels: Iterable[Json]) -> Json | None:
    shown = [panel for panel in panels if panel["marks"]]
    if not shown:
        return None
    keys = {one["key"] for panel in shown for one in panel["marks"]}
    return {"style": style, "rows": [labels(row) for row in rows if row.key in keys], "panels": shown}


def labels(row: Row) -> Json:
    """Return how a chart names a Candidate."""
    return {"key": row.key, "standing": row.standing, "glyph": GLYPHS.get(row.standing, "")}


def _panel(title: str, marks: Iterable[Json | None], *, unit: str = "", **more: object) -> Json:
    return {"title": title, "unit": unit, "marks": [one for one in marks if one is not None], **more}


def _accuracy(view: View, rows: Sequence[Row]) -> Iterable[Json]:
    for column, title in ACCURACY.items():
        base = view_base(view, rows, column)
        panel = _panel(title, [row.mark(column) for row in rows], digits=3, line=base)
        margin = view.run.settings.requirements.max_map_drop
        if column == "val_map50_95" and base is not None:
            panel |= {"limit": short(base - margin), "limit_label": "margin", "worse": "below"}
        yield panel


def view_base(view: View, rows: Sequence[Row], column: str) -> float | None:
    """Return the reference's figure."""
    return next((row.number(column) for row in rows if row.key == view.run.reference), None)


def _deltas(view: View, rows: Sequence[Row]) -> Iterable[Json]:
    asked = view.run.settings.requirements
    others = [row for row in rows if row.key != view.run.reference]
    for column, title, margin in (
        ("map_delta", "Δ mAP50-95", asked.max_map_drop),
        ("op_recall_delta", "Δ recall at the operating point", asked.max_recall_drop),
    ):
        panel = _panel(title, [row.mark(column) for row in others], digits=4, signed=True, line=0.0)
        if margin is not None:
            yield panel | {"limit": -margin, "limit_label": f"margin −{margin:g}", "worse": "below"}
        elif column == "map_delta":
            yield panel


def _latency(view: View, rows: Sequence[Row]) -> Iterable[Json]:
    asked = view.run.settings.requirements
    for workload in map(str, view.run.settings.workloads):
        marks = [one for row in rows if (one := _percentiles(row, workload)) is not None]
        panel = _panel(workload, marks, unit="ms", digits=2, zero=True)
        if workload == "1x1" and asked.latency_budget_ms is not None:
            label = f"budget {asked.latency_budget_ms:g} ms at p{asked.percentile:g}"
            panel |= {"limit": asked.latency_budget_ms, "limit_label": label, "worse": "above"}
        yield panel


def _percentiles(row: Row, workload: str) -> Json | None:
    latency = row.line.latencies.get(workload)
    if latency is None:
        return None
    tails = {"p95": latency.p95_ms, "p99": latency.p99_ms}
    one = mark(row.key, latency.median_ms, latency.intervals.get("median_ms"))
    return one | {name: short(value) for name, value in tails.items() if value is not None}


def _parts(rows: Sequence[Row]) -> Iterable[Json]:
    marks = []
    for row in rows:
        parts = {part: row.number(f"{part}_1x1_ms") for part in ("pre", "run", "post")}
        known = {part: short(value) for part, value in parts.items() if value is not None}
        if known:
            marks.append(mark(row.key, sum(known.values())) | {"parts": known})
    yield _panel("1x1", marks, unit="ms", digits=2, zero=True)


def _throughput(view: View, rows: Sequence[Row]) -> Iterable[Json]:
    for workload in map(str, view.run.settings.workloads):
        marks = [row.mark(f"frames_per_s_{workload}") for row in rows]
        yield _panel(workload, marks, unit="frames/s", digits=1, zero=True)


def _jobs(view: View, rows: Sequence[Row]) -> Iterable[Json]:
    frames = view.run.settings.frames
    yield _panel("two frames", [row.mark("two_frames_ms") for row in rows], unit="ms", digits=1, zero=True)
    for workload in map(str, view.run.settings.workloads):
        title = f"{frames} frames a stream, {workload}"
        yield _panel(title, [row.mark(f"frames_{workload}_s") for row in rows], unit="s", digits=2, zero=True)


def _costs(view: View, rows: Sequence[Row]) -> Iterable[Json]:
    asked = view.run.settings.requirements
    limits = {"size_bytes": asked.max_size_bytes, "peak_memory_bytes": asked.max_memory_bytes}
    for column, title, unit, scale in COSTS:
        marks = [row.mark(column, scale=scale) for row in rows]
        panel = _panel(title, marks, unit=unit, digits=0 if column == "peak_memory_bytes" else 1, zero=True)
        if (limit := limits.get(column)) is not None:
            panel |= {"limit": limit * scale, "limit_label": f"limit {limit * scale:g} {unit}", "worse": "above"}
        yield panel


def _classes(rows: Sequence[Row]) -> Iterable[Json]:
    """Yield a panel a class: those that lose most against the reference, or the lowest where nothing is compared."""
    marks: dict[str, list[Json]] = {}
    losses: dict[str, list[float]] = {}
    for row in rows:
        accuracy = row.line.trial.accuracy
        for number, one in enumerate(() if accuracy is None else accuracy.per_class):
            if one.ap50_95 is not None:
                name = f"{number} {one.name}"  # two classes may have one name
                bounds = one.intervals.get("ap50_95")
                marks.setdefault(name, []).append(mark(row.key, one.ap50_95, bounds))
                delta = one.deltas.get("ap50_95")
                losses.setdefault(name, []).append(one.ap50_95 if delta is None else delta.value - 1)
    worst = sorted(marks, key=lambda name: min(losses[name]))[:CLASSES]
    for name in sorted(worst, key=lambda name: int(name.partition(" ")[0])):
        yield _panel(name.partition(" ")[2], marks[name], digits=3)
