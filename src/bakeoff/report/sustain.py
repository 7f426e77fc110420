"""The part of the report that tells what each Candidate does under a load that goes on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from bakeoff.records import Sustained
from bakeoff.report.table import Line, View
from bakeoff.report.words import table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "sustained"
SHOWN = {  # quantities of telemetry worth a curve: name and unit
    "cpu_mhz": "CPU clock, MHz",
    "cpu_temperature_c": "CPU temperature, °C",
    "cpu_power_w": "CPU power, W",
    "gpu_sm_mhz": "GPU clock, MHz",
    "gpu_temperature_c": "GPU temperature, °C",
    "gpu_power_w": "GPU power, W",
    "board_power_w": "board power, W",
    "cpu_others_share": "other processes, share of the cores",
}


def sections(view: View, charts: Mapping[str, str]) -> Iterable[str]:
    """Yield the section; nothing where no load was sustained."""
    loaded = _loaded(view)
    if not loaded:
        return
    first = loaded[0][1]
    yield "## Sustained load"
    yield (
        f"1x1 without a pause for {duration(first.asked_s)} each, one Candidate after the other, in this order: a "
        "later one begins on a machine that an earlier one has warmed. *p50 at the end*: median latency of the last "
        "tenth of the time. *Drift*: the last tenth's time over the first tenth's, with its 95% interval."
    )
    head = ["Candidate", "time", "frames", "p50 at the start ms", "at the end ms", "drift [95%]", "throttling"]
    rows = [[f"`{line.key}`", *_cells(one)] for line, one in loaded]
    yield table(head, rows, words=True)
    if told := _told(loaded):
        yield table(["Candidate", "quantity", "start", "end", "lowest", "highest"], told)
    unknown = sorted({what for _, one in loaded for what in one.unknown})
    if unknown:
        yield f"Unknown on this host: {', '.join(unknown)}."
    if NAME in charts:
        yield f"![Sustained load]({charts[NAME]})"


def lines(view: View) -> Iterable[str]:
    """Yield the answers for the terminal, one a Candidate."""
    for line, one in _loaded(view):
        time = duration(one.seconds) + ("" if one.complete else f" of {duration(one.asked_s)}")
        yield f"{line.key}: {time} sustained: p50 {one.p50_ms:.2f} ms at the end, drift {drift(one)}; {throttling(one)}"


def drift(one: Sustained) -> str:
    """Return the drift with its interval."""
    if one.drift is None:
        return "unknown (too short)"
    return f"{one.drift.value:.3f} [{one.drift.low:.3f}, {one.drift.high:.3f}]"


def throttling(one: Sustained) -> str:
    """Return what is known of throttling, in words, and how it is known."""
    if one.throttling == "counters" and one.throttled_at_s is not None:
        return f"throttled from {duration(one.throttled_at_s)} on, by {one.evidence}"
    if one.throttling == "latency" and one.throttled_at_s is not None:
        return f"perhaps throttled from {duration(one.throttled_at_s)} on: {one.evidence}"
    return f"no throttling seen: {one.evidence}" if one.throttling == "none" else f"throttling unknown: {one.evidence}"


def duration(seconds: float) -> str:
    """Return a duration in words: `1 h 5 min`, `10 min`, `90 s`."""
    whole = round(seconds)
    if whole < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    parts = [f"{hours} h" if hours else "", f"{minutes} min" if minutes else "", f"{rest} s" if rest else ""]
    return " ".join(part for part in parts if part)


def _loaded(view: View) -> list[tuple[Line, Sustained]]:
    return [(line, line.trial.sustained) for line in view.lines if line.trial.sustained is not None]


def _cells(one: Sustained) -> list[str]:
    time = duration(one.seconds) + ("" if one.complete else f" of {duration(one.asked_s)}: ended early")
    start = one.windows[0].p50_ms if one.windows else one.p50_ms
    return [time, str(one.frames), f"{start:.2f}", f"{one.p50_ms:.2f}", drift(one), throttling(one)]


def _told(loaded: Sequence[tuple[Line, Sustained]]) -> list[list[str]]:
    """Return a row for each quantity that the host told."""
    rows = []
    for line, one in loaded:
        for quantity, name in SHOWN.items():
            values = [window.telemetry[quantity] for window in one.windows if quantity in window.telemetry]
            if values:
                figures = (values[0], values[-1], min(values), max(values))
                rows.append([f"`{line.key}`", name, *(f"{value:.4g}" for value in figures)])
    return rows


def chart(view: View) -> Figure | None:
    """Draw latency over time, and below it each quantity that the host told; a colour a Candidate."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    loaded = [(line, one) for line, one in _loaded(view) if one.windows]
    if not loaded:
        return None
    told = [q for q in SHOWN if any(q in window.telemetry for _, one in loaded for window in one.windows)]
    figure = Figure(figsize=(9.5, 3.6 + 1.5 * len(told)), layout="constrained")
    ratios = [2.4, *(1 for _ in told)]
    top, *below = figure.subplots(len(ratios), 1, sharex=True, squeeze=False, height_ratios=ratios)[:, 0]
    colours = colormaps["tab10"].colors  # type: ignore[attr-defined]
    for i, (line, one) in enumerate(loaded):
        colour = colours[i % len(colours)]
        middle = [window.begin_s + window.seconds / 2 for window in one.windows]
        top.plot(middle, [window.p50_ms for window in one.windows], color=colour, lw=1.2, label=f"{line.key} p50")
        top.plot(middle, [window.p95_ms for window in one.windows], color=colour, lw=0.7, ls=":", label="p95")
        if one.throttled_at_s is not None:
            top.axvline(one.throttled_at_s, color=colour, ls="--", lw=0.8, label=f"throttled, by {one.throttling}")
        for axis, quantity in zip(below, told, strict=True):
            known = [(at, w.telemetry[quantity]) for at, w in zip(middle, one.windows, strict=True)
                     if quantity in w.telemetry]  # fmt: skip
            axis.plot([at for at, _ in known], [value for _, value in known], color=colour, lw=1)
    top.set_ylabel("latency, ms")
    top.set_ylim(bottom=0)
    for axis, quantity in zip(below, told, strict=True):
        axis.set_ylabel(SHOWN[quantity].replace(", ", ",\n"), fontsize=7)
    (below[-1] if below else top).set_xlabel("seconds since the load began")
    for axis in (top, *below):
        axis.grid(True, alpha=0.3)
    figure.legend(loc="outside upper left", frameon=False, fontsize=8, ncols=3)
    return figure
