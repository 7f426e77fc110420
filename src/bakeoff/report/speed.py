"""The report's sections on speed beside the main table: how sure the times are, throughput, and the machine's state."""

from __future__ import annotations

from collections.abc import Iterator

from bakeoff.report.table import Line, View, workloads
from bakeoff.report.words import number, plain, table
from bakeoff.speed.samples import Measured

UNITS = {
    "cpu_mhz": ("CPU MHz", ".0f"),
    "cpu_temperature_c": ("CPU °C", ".0f"),
    "gpu_sm_mhz": ("GPU MHz", ".0f"),
    "gpu_temperature_c": ("GPU °C", ".0f"),
    "gpu_power_w": ("GPU W", ".1f"),
    "board_power_w": ("board W", ".1f"),
}


def sections(view: View) -> Iterator[str]:
    """Yield the sections, none where nothing was timed."""
    timed = [line for line in view.lines if line.latencies]
    if not timed:
        return
    if view.timings:
        yield "## How sure the times are"
        yield " ".join((_ended(view), _how_to_read(view, timed)))
        yield _latency_table(timed)
    yield from _throughput(view, timed)
    yield from _machine(view, timed)


def _ended(view: View) -> str:
    """Say why the rounds ended: intervals as narrow as asked, or no more time."""
    settings = view.run.settings
    ended = view.run.timing.get("ended", {})
    target = f"±{settings.precision_target:.1%}".replace(".0%", "%")
    by_reason: dict[str, list[str]] = {}
    for workload, reason in ended.items():
        by_reason.setdefault(reason, []).append(workload)
    words = []
    if precise := by_reason.get("precision"):
        words.append(f"Every speedup is known to {target} or better at {', '.join(precise)}.")
    if late := by_reason.get("time budget"):
        widest = [
            f"{workload} ±{width:.1%}" if (width := view.widest(workload)) is not None else workload
            for workload in late
        ]
        words.append(
            f"The time budget ({settings.time_budget_s:g} s, `--time-budget`) ended the rounds before every speedup "
            f"was known to {target}: the widest is {', '.join(widest)}."
        )
    if by_reason.get("frames"):
        words.append("`--quick`: the rounds ended after few frames, whatever the intervals.")
    return " ".join(words)


def _how_to_read(view: View, timed: list[Line]) -> str:
    text = (
        "Figures are for 1x1, milliseconds, with 95% intervals by a bootstrap over rounds; they are about this Run's "
        "conditions, and the speedups above, paired round by round, are what to compare by. *Jitter* is the mean "
        "difference between one prediction and the next; *rest* is how long a runtime's threads go on spinning after "
        "its last prediction, which other work on the device pays for."
    )
    missing = max((line.latencies["1x1"].missing_for_p99 or 0 for line in timed if "1x1" in line.latencies), default=0)
    if missing:
        settings, late = view.run.settings, view.run.timing.get("ended", {}).get("1x1") == "time budget"
        cure = "a Run without `--quick`" if settings.quick else "a longer `--time-budget`" if late else "`--frames 400`"
        text += f" A p99 needs 400 samples: {missing} more than there are ({cure})."
    return text


def _latency_table(timed: list[Line]) -> str:
    rows = []
    for line in timed:
        one = line.latencies.get("1x1")
        if not isinstance(one, Measured):
            continue
        rows.append(
            [
                f"`{line.key}`",
                str(one.rounds),
                _with_interval(one.median_ms, one.intervals.get("median_ms")),
                _with_interval(one.p95_ms, one.intervals.get("p95_ms")),
                f"needs {one.missing_for_p99} more"
                if one.p99_ms is None
                else _with_interval(one.p99_ms, one.intervals.get("p99_ms")),
                number(one.jitter_ms, ".2f"),
                f"{one.worst.ms:.2f}",
                str(one.outliers),
                number(one.rest_ms, ".1f"),
                _settled(line),
                number(line.trial.cold_start_s, ".2f"),
            ]
        )
    head = [
        "Candidate",
        "rounds",
        "p50",
        "p95",
        "p99",
        "jitter",
        "worst",
        "outliers",
        "rest",
        "warm-up",
        "cold start s",
    ]
    return table(head, rows)


def _settled(line: Line) -> str:
    """Return how many predictions the slowest warm-up took, or that one never settled."""
    if not line.trial.warm_up:
        return ""
    if not all(warm.settled for warm in line.trial.warm_up):
        return "never settled"
    return f"{max(len(warm.block_medians_ms) for warm in line.trial.warm_up)} blocks"


def _throughput(view: View, timed: list[Line]) -> Iterator[str]:
    columns = [str(workload) for workload in workloads(view)]
    rows = []
    for line in timed:
        cells = []
        for workload in columns:
            one = line.latencies.get(workload)
            known = None if one is None else one.frames_per_s
            cells.append(
                "" if one is None or known is None else _with_interval(known, one.intervals.get("frames_per_s"), ".1f")
            )
        rows.append([f"`{line.key}`", *cells, number(line.two_frames_ms, ".2f")])
    if any(any(row[1:]) for row in rows):
        yield "## Throughput"
        yield "Frames a second over all streams. *Two frames*: what it takes to serve one frame of each of two cameras."
        yield table(["Candidate", *(f"frames/s {workload}" for workload in columns), "two frames ms"], rows)


def _machine(view: View, timed: list[Line]) -> Iterator[str]:
    told = view.run.timing.get("telemetry")
    if not told:
        return
    yield "## The machine meanwhile"
    known = [name for name in UNITS if any(name in c.means for line in timed for c in line.conditions.values())]
    energy = any(c.energy_j_per_frame is not None for line in timed for c in line.conditions.values())
    rows = []
    for line in timed:
        for workload, found in line.conditions.items():
            rows.append(
                [
                    f"`{line.key}`",
                    workload,
                    str(found.blocks),
                    str(found.busy),
                    str(found.throttled),
                    *(number(found.means.get(name), UNITS[name][1]) for name in known),
                    *([number(found.energy_j_per_frame, ".3f")] if energy else []),
                ]
            )
    share = told.get("cost_share")
    yield (
        "Blocks during which other processes took more than 10% of these cores, or the hardware held back, are flagged "
        "and kept. Telemetry itself took "
        + ("an unknown share" if share is None else f"{share:.2%}")
        + " of the time, outside every timed region."
    )
    head = ["Candidate", "SxB", "blocks", "while busy", "while throttled", *(UNITS[name][0] for name in known)]
    yield table([*head, *(["J a frame"] if energy else [])], rows)
    if unknown := told.get("unknown"):
        yield "\n".join(f"- unknown: {name}: {plain(why)}" for name, why in sorted(unknown.items()))


def _with_interval(value: float, interval: tuple[float, float] | None, form: str = ".2f") -> str:
    shown = f"{value:{form}}"
    return shown if interval is None else f"{shown} [{interval[0]:{form}}, {interval[1]:{form}}]"
