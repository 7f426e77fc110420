"""What a sweep found: each runtime's best settings on this machine, `sweep.csv`, and latency against throughput."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.records import Estimate, Sweep, SweepPoint
from bakeoff.report.table import View
from bakeoff.report.words import plain, table
from bakeoff.speed.sweep import SINGLE, Best, best_latency, best_throughput, frontier

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = (
    "candidate",
    "plain",
    "workload",
    "samples",
    "latency_ms",
    "latency_ms_low",
    "latency_ms_high",
    "latency_p95_ms",
    "frames_per_s",
    "speedup",
    "speedup_low",
    "speedup_high",
    "gain",
    "gain_low",
    "gain_high",
    "frontier",
)


def sections(view: View) -> Iterable[str]:
    """Yield the report's part on settings of loading; nothing where none were tried."""
    sweeps, settings = view.run.sweep, view.run.settings
    if not sweeps or settings.shapes:  # a tune tells of them in its own words
        return
    yield "## Settings of loading"
    tried = sum(len({point.key for point in one.points} | set(one.failures)) - 1 for one in sweeps)
    at = ", ".join(dict.fromkeys(point.workload for one in sweeps for point in one.points))
    yield (
        f"{tried} settings of {len(sweeps)} Candidates were tried at {at}, each beside its Candidate's default, in "
        "a few rounds; `sweep.csv` has every figure. *Beats it*: the whole 95% interval of the paired ratio lies "
        "above 1. The best of several has also had the most luck, so its ratio may be a little too good; a setting "
        "with a row in the table above was timed there afresh."
    )
    rows = [
        [f"`{one.key}`", *_cells(best_latency(one), "latency"), *_cells(best_throughput(one), "throughput")]
        for one in sweeps
    ]
    head = ["Candidate", f"best at {SINGLE}", "ms", "against its default", "best throughput", "frames/s"]
    yield table([*head, "against its default"], rows, words=True)
    if settings.tune:
        yield _added(view)
    failures = [f"- `{key}`: {plain(cause)}" for one in sweeps for key, cause in one.failures.items()]
    if failures:
        yield "Not tried, for they failed:\n\n" + "\n".join(failures)


def _cells(best: Best | None, purpose: str) -> list[str]:
    """Return the setting, its figure, and how it stands to the default."""
    if best is None:
        return ["", "", ""]
    point = best.point
    figure = f"{point.latency_ms:.2f}" if purpose == "latency" else f"{point.frames_per_s:.1f} at {point.workload}"
    return [f"`{point.key}`", figure, _standing(best)]


def _standing(best: Best) -> str:
    if best.ratio is None:
        return "it is the default"
    ratio = best.ratio
    shown = f"{ratio.value:.2f} times [{ratio.low:.2f}, {ratio.high:.2f}]"
    return f"beats it, {shown}" if best.sure else f"tie, {shown}"


def _added(view: View) -> str:
    swept = {point.key for one in view.run.sweep for point in one.points}
    added = [line.key for line in view.lines if line.trial.candidate.tuning and line.key in swept]
    if not added:
        return "`--tune`: no setting was faster than its default beyond doubt, so none was added."
    return "`--tune` added these, to be timed afresh with all others: " + ", ".join(f"`{k}`" for k in added) + "."


def write_csv(view: View, path: Path) -> None:
    """Write `sweep.csv`, one row a setting and Workload, where there was a sweep."""
    if not view.run.sweep:
        return
    best = _frontier(view)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for one in view.run.sweep:
            for point in one.points:
                writer.writerow(_row(one, point, on_frontier=(point.key, point.workload) in best))


def _row(one: Sweep, point: SweepPoint, *, on_frontier: bool) -> list[str]:
    interval = point.latency_interval_ms
    figures = [
        point.latency_ms,
        *((None, None) if interval is None else interval),
        point.p95_ms,
        point.frames_per_s,
        *_three(point.speedup),
        *_three(point.gain),
    ]
    texts = ["" if figure is None else f"{figure:.7g}" for figure in figures]
    return [point.key, one.key, point.workload, str(point.samples), *texts, "yes" if on_frontier else "no"]


def _three(one: Estimate | None) -> list[float | None]:
    return [None, None, None] if one is None else [one.value, one.low, one.high]


def _frontier(view: View) -> frozenset[tuple[str, str]]:
    return frontier([point for one in view.run.sweep for point in one.points])


def frontier_chart(view: View) -> Figure | None:
    """Draw every point of the sweeps, a colour a Candidate, with the ones that no other beats joined."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    found = [point for one in view.run.sweep for point in one.points]
    if not found:
        return None
    figure = Figure(figsize=(9.5, 5.2), layout="constrained")
    axis = figure.subplots()
    colours = colormaps["tab10"].colors  # type: ignore[attr-defined]
    for number, one in enumerate(view.run.sweep):
        colour = colours[number % len(colours)]
        for tuned, marker in ((False, "o"), (True, "x")):
            some = [point for point in one.points if (point.key != one.key) == tuned]
            name = f"{one.key}, {'settings' if tuned else 'default'}"
            axis.scatter(
                [p.latency_ms for p in some], [p.frames_per_s for p in some], color=colour, marker=marker, label=name
            )
    best = _frontier(view)
    edge = sorted((p for p in found if (p.key, p.workload) in best), key=lambda p: p.latency_ms)
    axis.plot([p.latency_ms for p in edge], [p.frames_per_s for p in edge], color="#444444", lw=0.8, zorder=0)
    for point in edge:
        axis.annotate(
            f"{point.key.partition('/')[0]} {'/'.join(point.key.split('/')[2:])} {point.workload}".replace("  ", " "),
            (point.latency_ms, point.frames_per_s),
            xytext=(4, -10),
            textcoords="offset points",
            fontsize=7,
        )
    axis.set_xlabel("latency of one prediction, ms (median)")
    axis.set_ylabel("frames/s, all streams together")
    axis.grid(True, alpha=0.3)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return figure
