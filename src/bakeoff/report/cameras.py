"""The part of the report that tells how many cameras each Candidate serves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from bakeoff.records import CameraLevel, Cameras
from bakeoff.report.table import Line, View
from bakeoff.report.words import number, table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "cameras"


def sections(view: View, charts: Mapping[str, str]) -> Iterable[str]:
    """Yield the section; nothing where no cameras were counted."""
    counted = _counted(view)
    if not counted:
        return
    first = counted[0][1]
    yield "## How many cameras"
    yield (
        f"Cameras of {first.fps:g} frames/s each, not synchronised, their frames on schedule whether or not the last "
        f"one is done (open loop). A number of cameras holds if {first.percentile:g}% of all frames have their "
        f"Detections within {first.slo_ms:g} ms of the *scheduled* arrival, waiting included. A camera's newest frame "
        "replaces its own older one that still waits: that one is *dropped*, and counts as a frame without end. *Late* "
        "frames were done after the limit. In brackets the 95% interval, from resampling whole repetitions."
    )
    head = ["Candidate", "cameras [95%]", "streams", f"p{first.percentile:g} ms", "late", "dropped"]
    rows = [[f"`{line.key}`", *_cells(one)] for line, one in counted]
    yield table([*head, "one more: ms", "late", "dropped"], rows)
    if notes := [f"- `{line.key}`: {note}" for line, one in counted if (note := _note(one))]:
        yield "\n".join(notes)
    told = [one.level(one.cameras) for _, one in counted if one.cameras]
    if woken := [level.wake_up_ms for level in told if level is not None and level.wake_up_ms is not None]:
        yield (
            f"At these numbers of cameras idle streams woke up late by up to {max(woken):.2f} ms (p99, of the worst "
            "Candidate); that is part of the latency."
        )
    if NAME in charts:
        yield f"![How many cameras]({charts[NAME]})"


def lines(view: View) -> Iterable[str]:
    """Yield the answers for the terminal, one a Candidate."""
    for line, one in _counted(view):
        streams = "" if one.streams is None or not one.cameras else f" with {_plural(one.streams, 'stream')}"
        held = f"p{one.percentile:g} within {one.slo_ms:g} ms"
        note = _note(one)
        yield f"{line.key}: cameras at {one.fps:g} fps: {answer(one)}{streams}, {held}" + (f"; {note}" if note else "")


def answer(one: Cameras) -> str:
    """Return the number of cameras with its interval."""
    if one.cameras is None:
        return "unknown" if one.high is None else f"at most {one.high}"
    if one.high is None:
        return f"{one.cameras} [{one.low}, or more]"
    return f"{one.cameras} [{one.low}, {one.high}]"


def _counted(view: View) -> list[tuple[Line, Cameras]]:
    return [(line, line.trial.cameras) for line in view.lines if line.trial.cameras is not None]


def _cells(one: Cameras) -> list[str]:
    most = one.level(one.cameras) if one.cameras else None
    following = None if one.cameras is None else one.level(one.cameras + 1)
    streams = "" if one.streams is None else str(one.streams)
    return [answer(one), streams, *_figures(one, most), *_figures(one, following)]


def _figures(one: Cameras, level: CameraLevel | None) -> list[str]:
    if level is None or level.holds is None:  # too few frames for the percentile
        return ["", "", ""]
    shown = "dropped" if level.percentile_ms is None else number(level.percentile_ms, ".1f")
    return [shown, _share(level.late, level.frames), _share(level.dropped, level.frames)]


def _share(count: int, frames: int) -> str:
    return "0" if not count else f"{count} ({count / frames:.2%})"


def _note(one: Cameras) -> str:
    """Return what the number alone would hide; empty where that is nothing."""
    if one.cameras is None:
        seen = "" if one.near is None else f" (what was measured points at about {one.near})"
        return f"the time was too short to tell{seen}; a new Run with more --camera-seconds tells"
    if one.cameras == 0:
        return _none(one, one.level(1))
    return "" if one.settled else "one camera more was not measured in full; a new Run with more --camera-seconds does"


def _none(one: Cameras, alone: CameraLevel | None) -> str:
    """Return how far a single camera is from the limit."""
    if alone is None:
        return "not even one"
    if alone.percentile_ms is None:
        text = f"of a single camera's frames {alone.dropped / alone.frames:.1%} are dropped"
    else:
        over = alone.percentile_ms - one.slo_ms
        text = f"a single camera's p{one.percentile:g} is {alone.percentile_ms:.1f} ms, {over:.1f} ms over the limit"
    if alone.service_ms > one.slo_ms:
        return f"{text}; a frame that never waits takes {alone.service_ms:.1f} ms, so no frame rate would do"
    return f"{text}; a frame that never waits takes {alone.service_ms:.1f} ms, so a lower frame rate might do"


def _height(level: CameraLevel, top: float) -> float:
    """Return where a level stands in the chart: at its top what is above it, or was dropped."""
    return top if level.percentile_ms is None else min(top, level.percentile_ms)


def _plural(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def chart(view: View) -> Figure | None:
    """Draw the percentile's latency against the number of cameras, with the limit; the answer's streams only."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    counted = [(line, one) for line, one in _counted(view) if one.streams is not None]
    if not counted:
        return None
    first = counted[0][1]
    figure = Figure(figsize=(9.5, 4.6), layout="constrained")
    axis = figure.subplots()
    colours = colormaps["tab20"].colors  # type: ignore[attr-defined]
    known = [level.percentile_ms for _, one in counted for level in one.levels if level.percentile_ms is not None]
    top = 1.25 * max([first.slo_ms, *(min(value, 4 * first.slo_ms) for value in known)])
    for i, (line, one) in enumerate(counted):
        colour = colours[i % len(colours)]
        levels = [level for level in one.levels if level.streams == one.streams and level.holds is not None]
        seen = [(level.cameras, _height(level, top)) for level in levels]
        label = f"{line.key}: {answer(one)}, {_plural(one.streams or 0, 'stream')}"
        axis.plot([n for n, _ in seen], [ms for _, ms in seen], "-", color=colour, lw=1, label=label)
        for marker, above in (("o", False), ("^", True)):
            some = [(n, ms) for n, ms in seen if (ms == top) == above]
            axis.plot([n for n, _ in some], [ms for _, ms in some], marker, color=colour, ms=5, clip_on=False)
    axis.axhline(first.slo_ms, color="#c0392b", ls="--", lw=1)
    axis.annotate(f"SLO {first.slo_ms:g} ms", (1, first.slo_ms), xycoords=("axes fraction", "data"), color="#c0392b",
                  xytext=(-4, 3), textcoords="offset points", ha="right")  # fmt: skip
    axis.set_ylim(0, top)
    axis.set_xlabel(f"cameras of {first.fps:g} frames/s (triangle: above the chart, or dropped)")
    axis.set_ylabel(f"p{first.percentile:g} from scheduled arrival, ms")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(True, alpha=0.3)
    figure.legend(loc="outside upper left", frameon=False, fontsize=8, ncols=2)
    return figure
