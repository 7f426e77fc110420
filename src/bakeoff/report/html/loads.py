"""Charts of what only some Runs have: settings of loading, cameras, sustained load."""

from __future__ import annotations

from collections.abc import Sequence

from bakeoff.report.cameras import answer
from bakeoff.report.html.charts import labels
from bakeoff.report.html.rows import Json, Row, short
from bakeoff.report.sustain import SHOWN
from bakeoff.report.table import View
from bakeoff.speed.sweep import frontier


def charts(view: View, rows: Sequence[Row]) -> dict[str, Json]:
    """Return the charts that there are figures for, by name."""
    found = {"sweep": _sweep(view), "cameras": _cameras(rows), "sustained": _sustained(rows)}
    return {name: chart for name, chart in found.items() if chart is not None}


def _sweep(view: View) -> Json | None:
    every = [(one.key, point) for one in view.run.sweep for point in one.points]
    if not every:
        return None
    best = frontier([point for _, point in every])
    points = [
        {
            "key": point.key,
            "plain": plain,
            "workload": point.workload,
            "x": short(point.latency_ms),
            "y": short(point.frames_per_s),
            "front": (point.key, point.workload) in best,
        }
        for plain, point in every
    ]
    return {"points": points}


def _cameras(rows: Sequence[Row]) -> Json | None:
    counted = [(row, one) for row in rows if (one := row.line.trial.cameras) is not None and one.streams is not None]
    if not counted:
        return None
    series = []
    for row, one in counted:
        levels = [level for level in one.levels if level.streams == one.streams and level.holds is not None]
        points = [
            {
                "cameras": level.cameras,
                "ms": None if level.percentile_ms is None else short(level.percentile_ms),
                "holds": level.holds,
            }
            for level in sorted(levels, key=lambda level: level.cameras)
        ]
        series.append({**labels(row), "answer": answer(one), "streams": one.streams, "points": points})
    first = counted[0][1]
    return {"series": series, "slo": first.slo_ms, "percentile": first.percentile, "fps": first.fps}


def _sustained(rows: Sequence[Row]) -> Json | None:
    loaded = [(row, one) for row in rows if (one := row.line.trial.sustained) is not None and one.windows]
    if not loaded:
        return None
    told = [name for name in SHOWN if any(name in w.telemetry for _, one in loaded for w in one.windows)]
    series = []
    for row, one in loaded:
        windows = one.windows
        series.append(
            {
                **labels(row),
                "t": [short(window.begin_s + window.seconds / 2) for window in windows],
                "p50": [short(window.p50_ms) for window in windows],
                "p95": [short(window.p95_ms) for window in windows],
                "throttled_at": one.throttled_at_s,
                "telemetry": {
                    name: [None if (v := w.telemetry.get(name)) is None else short(v) for w in windows] for name in told
                },
            }
        )
    return {"series": series, "telemetry": {name: SHOWN[name] for name in told}}
