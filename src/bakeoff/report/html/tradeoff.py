"""Accuracy against latency: the points, the ones that no other beats in both, and the limits that were asked for."""

from __future__ import annotations

from collections.abc import Sequence

from bakeoff.report.html.charts import labels, view_base
from bakeoff.report.html.rows import Json, Row, short
from bakeoff.report.table import View

PERCENTILES = {50.0: "latency_1x1_ms", 95.0: "latency_1x1_p95_ms", 99.0: "latency_1x1_p99_ms"}
ACCURACY = "val_map50_95"


def tradeoff(view: View, rows: Sequence[Row]) -> Json | None:
    """Return the chart; `None` where fewer than two Candidates have both figures."""
    asked = view.run.settings.requirements
    column = PERCENTILES.get(asked.percentile, "latency_1x1_ms") if asked.latency_budget_ms is not None else ""
    if not column or not any(row.number(column) is not None for row in rows):
        column = PERCENTILES[50.0]
    points = [point for row in rows if (point := _point(row, column)) is not None]
    if len(points) < 2:
        return None
    best = front([(point["x"], point["y"]) for point in points])
    for point, on_front in zip(points, best, strict=True):
        point["front"] = on_front
    percentile = next(percent for percent, name in PERCENTILES.items() if name == column)
    base = view_base(view, rows, ACCURACY)
    return {
        "points": points,
        "percentile": percentile,
        "base": base,
        "least": None if base is None else short(base - asked.max_map_drop),
        "margin": asked.max_map_drop,
        "budget": asked.latency_budget_ms,
        "budget_percentile": asked.percentile,
    }


def _point(row: Row, column: str) -> Json | None:
    x, y = row.number(column), row.number(ACCURACY)
    if x is None or y is None:
        return None
    point: Json = {**labels(row), "x": short(x), "y": short(y)}
    ratio, paired = row.number("speedup_1x1"), row.bounds("speedup_1x1")
    if ratio and paired is not None and row.standing != "reference":  # what it is compared by, not its own spread
        point |= {"x_low": short(x * ratio / paired[1]), "x_high": short(x * ratio / paired[0])}
    delta, bounds = row.number("map_delta"), row.bounds("map_delta")
    if delta is not None and bounds is not None and row.standing != "reference":
        point |= {"y_low": short(y - delta + bounds[0]), "y_high": short(y - delta + bounds[1])}
    return point


def front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Return which points of (latency, accuracy) no other point beats in one and equals in the other."""

    def beaten(x: float, y: float) -> bool:
        return any(a <= x and b >= y and (a, b) != (x, y) for a, b in points)

    return [not beaten(x, y) for x, y in points]
