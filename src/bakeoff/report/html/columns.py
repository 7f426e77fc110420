"""The columns of the page's table: what each shows of a Candidate, and what it is sorted by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bakeoff.report.html.rows import Row
from bakeoff.report.table import View
from bakeoff.report.words import signed

MB = 1e-6


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column; `short` ones stay on paper, where a page is narrow."""

    name: str  # of the column in table.csv that it is sorted by
    title: str
    meaning: str
    show: Callable[[Row], str]
    kept_on_paper: bool = True

    def sorted_by(self, row: Row) -> float | None:
        """Return what rows are sorted by; `None` goes last."""
        return row.number(self.name)


def columns(view: View, rows: list[Row]) -> list[Column]:
    """Return the columns that at least one Candidate has a figure for, after its name and verdict."""
    frames = view.run.settings.frames
    found = [
        Column(name="speedup_1x1", title="speedup", meaning="the reference's time over this one's at 1x1, paired by "
               "round, and its 95% interval: above 1 is faster", show=_speedup),
        _plain("latency_1x1_ms", "1x1 ms", "median latency of one prediction", ".2f"),
        _plain("latency_1x1_p95_ms", "p95 ms", "19 of 20 predictions at 1x1 take no longer", ".2f"),
        _plain("latency_1x1_p99_ms", "p99 ms", "99 of 100 predictions at 1x1 take no longer", ".2f", paper=False),
        Column(name="val_map50_95", title="mAP50-95", meaning="accuracy; ± is half the width of its 95% interval",
               show=lambda row: _half_width(row, "val_map50_95")),
        Column(name="map_delta", title="Δ mAP50-95", meaning="difference to the reference on the same images, and "
               "its 95% interval", show=_delta),
        *(_plain(f"latency_{workload}_ms", f"{workload} ms", _load(str(workload)), ".2f")
          for workload in view.run.settings.workloads if str(workload) != "1x1"),
        _plain("two_frames_ms", "two frames ms", "one frame of each of two cameras, the better way", ".2f"),
        _plain("frames_per_s_1x1", "frames/s", "throughput of one stream", ".1f", paper=False),
        _plain("frames_1x1_s", f"{frames} frames s", f"wall time of {frames} frames in one stream", ".2f"),
        *(Column(name=name, title=title, meaning=meaning, kept_on_paper=False, show=_of(name))
          for name, title, meaning in (
              ("val_precision", "P", "precision at the Candidate's own best F1"),
              ("val_recall", "R", "recall at the Candidate's own best F1"),
              ("val_map50", "mAP50", "mean average precision at IoU 0.5"))),
        _plain("size_bytes", "size MB", "all files of the Artifact", ".1f", MB),
        _plain("peak_memory_bytes", "memory MB", "peak of the process", ".0f", MB),
    ]  # fmt: skip
    return [column for column in found if any(row.number(column.name) is not None for row in rows)]


def _load(workload: str) -> str:
    streams, _, batch = workload.partition("x")
    return f"median latency of one prediction with {streams} stream(s) of batches of {batch}"


def _plain(name: str, title: str, meaning: str, form: str, scale: float = 1.0, *, paper: bool = True) -> Column:
    def show(row: Row) -> str:
        value = row.number(name)
        return "" if value is None else format(value * scale, form)

    return Column(name=name, title=title, meaning=meaning, show=show, kept_on_paper=paper)


def _of(name: str) -> Callable[[Row], str]:
    return lambda row: _half_width(row, name)


def _half_width(row: Row, name: str) -> str:
    value, bounds = row.number(name), row.bounds(name)
    if value is None:
        return ""
    return f"{value:.3f}" + ("" if bounds is None else f" ±{(bounds[1] - bounds[0]) / 2:.3f}")


def _delta(row: Row) -> str:
    value, bounds = row.number("map_delta"), row.bounds("map_delta")
    if value is None or row.standing == "reference":
        return ""
    return signed(value) + ("" if bounds is None else f" [{signed(bounds[0])}, {signed(bounds[1])}]")


def _speedup(row: Row) -> str:
    value, bounds = row.number("speedup_1x1"), row.bounds("speedup_1x1")
    if value is None:
        return ""
    if row.standing == "reference":
        return "1"
    return f"{value:.2f}" + ("" if bounds is None else f" [{bounds[0]:.2f}, {bounds[1]:.2f}]")
