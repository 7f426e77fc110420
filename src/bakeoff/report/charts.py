"""The study's three views: accuracy snapshot, speed and throughput, and one against the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from bakeoff.report import cameras, sustain, sweep
from bakeoff.report.table import Line, View, workloads
from bakeoff.view import ACCURACY, Difference

COLOURS = {
    "reference": "#444444",
    "recommended": "#1a7f37",
    "accepted": "#2f6fdf",
    "undecided": "#d4a017",
    "rejected": "#c0392b",
    "": "#8a8a8a",
}
METRIC_NAMES = ("precision", "recall", "mAP50", "mAP50-95")
SHADES = ("#9ecae1", "#6baed6", "#3182bd", "#08519c")


def draw(view: View, folder: Path) -> dict[str, str]:
    """Draw what was measured into `folder`; return each chart's path beside the report."""
    drawings: dict[str, Callable[[View], Figure | None]] = {
        "accuracy": _accuracy,
        "speed": _speed,
        "tradeoff": _tradeoff,
        "sweep": sweep.frontier_chart,
        cameras.NAME: cameras.chart,
        sustain.NAME: sustain.chart,
    }
    folder.mkdir(parents=True, exist_ok=True)
    names = {}
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        for name, drawing in drawings.items():
            figure = drawing(view)
            if figure is not None:
                figure.savefig(folder / f"{name}.png", dpi=130, metadata={"Software": None})
                names[name] = f"{folder.name}/{name}.png"
    return names


def _figure(rows: int, panels: int = 1) -> tuple[Figure, Any]:
    figure = Figure(figsize=(9.5, 1.5 + 0.42 * rows), layout="constrained")
    return figure, figure.subplots(1, panels, sharey=True, squeeze=False)[0]


def _bars(axis: Any, lines: Sequence[Line], series: Sequence[tuple[str, str, Sequence[float | None]]]) -> None:
    """Draw horizontal bars, a group a Candidate, the first on top; what was not measured has no bar."""
    height = 0.8 / max(1, len(series))
    for i, (name, colour, values) in enumerate(series):
        places = [row + (i - (len(series) - 1) / 2) * height for row in range(len(lines))]
        known = [(place, value) for place, value in zip(places, values, strict=True) if value is not None]
        axis.barh([p for p, _ in known], [v for _, v in known], height=height * 0.9, color=colour, label=name)
    axis.set_yticks(range(len(lines)), [_name(line) for line in lines])
    axis.set_ylim(len(lines) - 0.5, -0.5)
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, frameon=False)


def _name(line: Line) -> str:
    verdict = line.verdict.verdict
    return f"{line.key}\n({verdict})" if verdict else line.key


def _bar(one: Difference) -> list[list[float]] | None:
    """Return the lengths of an error bar; a percentile interval may leave out the figure itself."""
    if one.low is None or one.high is None:
        return None
    return [[max(0.0, one.value - one.low)], [max(0.0, one.high - one.value)]]


def _accuracy(view: View) -> Figure | None:
    lines = [line for line in view.lines if any(line.accuracy(metric) is not None for metric in ACCURACY)]
    if not lines:
        return None
    figure, (left, right) = _figure(len(lines), 2)
    series = [
        (name, shade, [line.accuracy(metric) for line in lines])
        for metric, name, shade in zip(ACCURACY, METRIC_NAMES, SHADES, strict=True)
    ]
    _bars(left, lines, series)
    for i, metric in enumerate(ACCURACY):
        for row, line in enumerate(lines):
            intervals = {} if line.trial.accuracy is None else line.trial.accuracy.intervals
            if (bounds := intervals.get(metric)) is not None:
                place = row + (i - (len(ACCURACY) - 1) / 2) * 0.8 / len(ACCURACY)
                left.plot(bounds, (place, place), color="#222222", lw=0.8)
    left.set_xlim(0, 1)
    left.set_xlabel("with 95% intervals" if view.run.imported is None else "no intervals")
    margin = view.run.settings.requirements.max_map_drop
    right.axvline(0, color="#444444", lw=0.8)
    right.axvline(-margin, color=COLOURS["rejected"], ls="--", lw=1)
    right.text(-margin, -0.45, f" margin -{margin:g}", color=COLOURS["rejected"], va="top", ha="right", fontsize=8)
    for row, line in enumerate(lines):
        if (delta := line.map_delta) is not None:
            colour = COLOURS[line.verdict.verdict]
            right.errorbar(delta.value, row, xerr=_bar(delta), fmt="o", color=colour, capsize=3)
    right.set_xlabel("mAP50-95 against the reference" + (", 95% interval" if view.run.imported is None else ""))
    right.xaxis.grid(True, alpha=0.3)
    return figure


def _speed(view: View) -> Figure | None:
    lines = [line for line in view.lines if line.latencies]
    if not lines:
        return None
    names = [str(workload) for workload in workloads(view)]

    def values(attribute: str) -> list[tuple[str, str, list[float | None]]]:
        return [
            (
                name,
                SHADES[-1 - i % len(SHADES)],
                [getattr(line.latencies[name], attribute) if name in line.latencies else None for line in lines],
            )
            for i, name in enumerate(names)
        ]

    panels = {
        "median latency of one prediction, ms": values("median_ms"),
        "throughput, frames/s": values("frames_per_s"),
    }
    known = {name: bars for name, bars in panels.items() if any(one is not None for _, _, some in bars for one in some)}
    figure, axes = _figure(len(lines), len(known))
    for axis, (name, bars) in zip(axes, known.items(), strict=True):
        _bars(axis, lines, bars)
        axis.set_xlabel(name)
        axis.xaxis.grid(True, alpha=0.3)
        axis.set_axisbelow(True)
    return figure


def _tradeoff(view: View) -> Figure | None:
    lines = [line for line in view.lines if line.accuracy("map50_95") is not None and "1x1" in line.latencies]
    if len(lines) < 2:
        return None
    figure = Figure(figsize=(9.5, 5.2), layout="constrained")
    axis = figure.subplots()
    base = view.reference.accuracy("map50_95")
    settings = view.run.settings.requirements
    if base is not None:
        axis.axhline(base - settings.max_map_drop, color=COLOURS["rejected"], ls="--", lw=1)
        axis.axhline(base, color="#444444", lw=0.6)
    if settings.latency_budget_ms is not None:
        axis.axvline(settings.latency_budget_ms, color="#8e44ad", ls="--", lw=1)
    ordered = sorted(lines, key=lambda line: line.latencies["1x1"].median_ms)
    for number, line in enumerate(ordered, 1):
        x, y = line.latencies["1x1"].median_ms, line.accuracy("map50_95")
        assert y is not None
        delta, ratio = line.map_delta, line.speedups.get("1x1")
        yerr = None if delta is None else _bar(delta)
        xerr = None
        if ratio is not None and ratio.low is not None and ratio.high is not None:
            xerr = [[x - x * ratio.value / ratio.high], [x * ratio.value / ratio.low - x]]
        colour = COLOURS[line.verdict.verdict]
        axis.errorbar(
            x,
            y,
            xerr=xerr,
            yerr=yerr,
            fmt="o",
            color=colour,
            capsize=2,
            label=f"{number}  {_name(line)}".replace("\n", " "),
        )
        axis.annotate(str(number), (x, y), xytext=(5, 5), textcoords="offset points", color=colour, fontweight="bold")
    bars = view.run.imported is None
    axis.set_xlabel("1x1 latency, ms (median" + ("; bar: 95% interval of the ratio to the reference)" if bars else ")"))
    axis.set_ylabel("mAP50-95" + (" (bar: 95% interval of the difference)" if bars else ""))
    axis.grid(True, alpha=0.3)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return figure
