"""What `bakeoff tune` found: who is recommended for each Workload, what each shape gains and costs, `tune.csv`."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from bakeoff.records import Trial
from bakeoff.report.table import Line, View
from bakeoff.report.words import number, plain, table
from bakeoff.speed.tune import Choice, Question, Standing, Tuned
from bakeoff.stats import Ratio

BOUNDS = ("", "_low", "_high")
COLUMNS = (
    "candidate",
    "plain",
    "precision",
    "workload",
    "standing",
    *(f"gain{bound}" for bound in BOUNDS),
    "samples",
    *(f"latency_ms{bound}" for bound in BOUNDS),
    "latency_p95_ms",
    "frames_per_s",
    "convert_s",
    "load_s",
    "first_run_ms",
    "size_bytes",
    "peak_timed_bytes",
    "box_error_px",
    "score_error",
)
NUMBERS = {2: "two", 3: "three", 4: "four"}


def answer(view: View) -> str:
    """Return the recommendation in a few sentences."""
    found = view.tuned
    if found is None or not found.choices:
        return "**No answer**: nothing that could be tuned was timed."
    at: dict[str, list[str]] = {}
    for one in found.choices:
        at.setdefault(one.key, []).append(_at(found, one))
    parts = ["**Recommended** " + "; ".join(f"for {', '.join(some)}: `{key}`" for key, some in at.items()) + "."]
    parts += [question(view, one) for one in found.questions if one.plain is None]
    parts.append(
        "Accuracy was not measured: each shape's raw outputs were held against the plain shape's. `bakeoff run` judges."
    )
    return " ".join(parts)


def lines(view: View) -> Iterator[str]:
    """Yield a line a recommendation, with what it gains and costs, and one a question about more cameras."""
    found = view.tuned
    if found is None:
        return
    for one in found.choices:
        line, standing = _line(view, one.key), found.standings[one.key, one.workload]
        tied = "" if not one.tied else f"; ties with {', '.join(one.tied)}, and is the plainest of them"
        figures = f"{_ms(line, one.workload)}, {_gain(standing, one.key)}{tied}; {_costs(view, line, standing)}"
        yield f"{_at(found, one)}: {one.key}: {figures}"
    for asked in found.questions:
        yield question(view, asked).replace("`", "")


def question(view: View, one: Question) -> str:
    """Return the answer to what more cameras are best served with."""
    count = NUMBERS.get(one.cameras, str(one.cameras))
    subject = "A second camera" if one.cameras == 2 else f"{count.capitalize()} cameras"
    if one.plain is not None:
        subject += f", against the batch-1 form of `{one.plain}`"
    together, apart = one.workloads
    batch = f"batches of {count} on `{one.batch}` ({_ms(_line(view, one.batch), together)} for {count} frames)"
    streams = f"{count} streams on `{one.streams}` ({_ms(_line(view, one.streams), apart)} for one frame of each)"
    if one.winner == "batch":
        return f"{subject}: serve with {batch} rather than with {streams}: {_times(one.ratio)}."
    if one.winner == "streams":
        return f"{subject}: serve with {streams} rather than with {batch}: {_times(_inverse(one.ratio))}."
    known = one.ratio is not None and one.ratio.low is not None
    shown = f"the batch is {_times(one.ratio)}" if known else "too few rounds side by side"
    return f"{subject}: undecided between {batch} and {streams}: {shown}."


def sections(view: View) -> Iterator[str]:
    """Yield the report's part on a tune; nothing for another Run."""
    found = view.tuned
    if found is None or not found.choices:
        return
    yield "## Which shape for which Workload"
    yield (
        "The fastest of one precision, or the plainest of those that tie with it: a proposed shape before another one, "
        "default settings before others. Ratios are paired by round, with 95% intervals, from rounds that followed all "
        "choosing of shapes and settings to try; the best of several has still had the most luck."
    )
    rows = []
    for one in found.choices:
        standing = found.standings[one.key, one.workload]
        tied = ", ".join(f"`{key}`" for key in one.tied)
        rows.append(
            [_at(found, one), f"`{one.key}`", _ms(_line(view, one.key), one.workload), _gain(standing, one.key), tied]
        )
    yield table(["Workload", "recommended", "latency", "against the plain shape", "ties with"], rows, words=True)
    if found.questions:
        yield "\n".join(f"- {question(view, one)}" for one in found.questions)
    yield "### What each shape gains and costs"
    yield (
        "In each cell the latency in ms and, of a shape or setting, how many times as fast as the plain shape it is; "
        "bold where it is recommended. *Memory* is the peak of a process that timed all Workloads that it takes; "
        "*off by* the mean error against the plain shape's raw outputs (its own: against the reference's), in pixels "
        "of boxes and in scores, where there are detections."
    )
    yield _table(view, found)
    yield _tried(view)


def _table(view: View, found: Tuned) -> str:
    workloads = list(dict.fromkeys(one.workload for one in found.choices))
    rows = []
    for line in _tuned_lines(view, found):
        trial = line.trial
        rows.append(
            [
                f"`{line.key}`",
                *(_cell(line, workload, found) for workload in workloads),
                number(trial.convert_s, ".1f"),
                number(trial.load_s, ".2f"),
                number(None if (peak := _peak(trial)) is None else peak / 1e6, ".0f"),
                number(None if trial.artifact is None else trial.artifact.size_bytes / 1e6, ".1f"),
                " / ".join(f"{error:.2g}" for error in _errors(trial).values() if error is not None),
            ]
        )
    return table(
        ["Candidate", *(f"{w} ms" for w in workloads), "convert s", "load s", "memory MB", "size MB", "off by"], rows
    )


def _cell(line: Line, workload: str, found: Tuned) -> str:
    standing = found.standings.get((line.key, workload))
    if standing is None:
        return ""
    text = f"{line.latencies[workload].median_ms:.2f}"
    if standing.gain is not None:
        text += f" ({_interval(standing.gain)})"
    return f"**{text}**" if standing.word == "recommended" else text


def _tried(view: View) -> str:
    """Return what was tried beside the shapes, what came of it, and what was left out or failed."""
    run = view.run
    count = sum(len({point.key for point in one.points} - {one.key}) for one in run.sweep)
    spent = sum(one.seconds for one in run.shapes)
    settings = f"{count} settings of loading of {len(run.sweep)} shapes that were the fastest somewhere"
    words = [
        f"Of the time budget of {run.settings.time_budget_s:g} s, {spent:.0f} s went into screening: the shapes beside "
        f"each other, then {settings if count else 'no settings of loading'}."
    ]
    added = [f"`{line.key}`" for line in view.lines if line.trial.candidate.tuning]
    words.append(
        f"Added, and timed afresh with the shapes: {', '.join(added)}."
        if added
        else "No setting that was tried beat its default beyond doubt and by more than the precision target."
    )
    words += [f"{one.left_out[0].upper()}{one.left_out[1:]}." for one in run.shapes if one.left_out]
    failed = {key: why for one in run.sweep for key, why in one.failures.items()}
    listed = "\n".join(f"- `{key}` could not be tried: {plain(why)}" for key, why in failed.items())
    return " ".join(words) + (f"\n\n{listed}" if listed else "")


def write_csv(view: View, path: Path) -> None:
    """Write `tune.csv`, one row a Candidate and Workload, where the Run is a tune."""
    found = view.tuned
    if found is None:
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for line in _tuned_lines(view, found):
            for workload in line.latencies:
                if (standing := found.standings.get((line.key, workload))) is not None:
                    writer.writerow(_row(line, workload, standing))


def _row(line: Line, workload: str, standing: Standing) -> list[str]:
    trial, latency = line.trial, line.latencies[workload]
    gain = standing.gain
    figures = [
        *((None,) * 3 if gain is None else (gain.value, gain.low, gain.high)),
        latency.samples,
        latency.median_ms,
        *latency.intervals.get("median_ms", (None, None)),
        latency.p95_ms,
        latency.frames_per_s,
        trial.convert_s,
        trial.load_s,
        trial.first_run_ms,
        None if trial.artifact is None else trial.artifact.size_bytes,
        _peak(trial),
        *_errors(trial).values(),
    ]
    texts = ["" if one is None else str(one) if isinstance(one, int) else f"{one:.7g}" for one in figures]
    return [line.key, standing.plain, trial.candidate.precision, workload, standing.word, *texts]


def _tuned_lines(view: View, found: Tuned) -> list[Line]:
    keys = {key for key, _ in found.standings}
    return [line for line in view.lines if line.key in keys]


def _line(view: View, key: str) -> Line:
    return next(line for line in view.lines if line.key == key)


def _at(found: Tuned, choice: Choice) -> str:
    """Name a Workload, with the precision where several compete by themselves."""
    several = len({one.precision for one in found.choices}) > 1
    return f"{choice.workload} in {choice.precision}" if several else choice.workload


def _ms(line: Line, workload: str) -> str:
    latency = line.latencies[workload]
    interval = latency.intervals.get("median_ms")
    shown = "" if interval is None else f" [{interval[0]:.2f}, {interval[1]:.2f}]"
    return f"{latency.median_ms:.2f} ms{shown}"


def _gain(standing: Standing, key: str) -> str:
    if key == standing.plain:
        return "it is the plain shape"
    if standing.gain is None:
        return f"{standing.plain} takes no such batch"
    word = "tie" if standing.gain.tie else "faster" if standing.gain.value > 1 else "slower"
    return f"{word}, {_times(standing.gain)} as {standing.plain}"


def _costs(view: View, line: Line, standing: Standing) -> str:
    """Return what a Candidate takes to have, beside its plain shape."""
    own = _cost(line.trial)
    beside = {} if line.key == standing.plain else _cost(_line(view, standing.plain).trial)
    return "costs: " + ", ".join(
        f"{name} {shown}" + (f" (plain: {beside[name]})" if name in beside else "") for name, shown in own.items()
    )


def _cost(trial: Trial) -> dict[str, str]:
    figures = {
        "convert": None if trial.convert_s is None else f"{trial.convert_s:.1f} s",
        "load": None if trial.load_s is None else f"{trial.load_s:.2f} s",
        "memory": None if (peak := _peak(trial)) is None else f"{peak / 1e6:.0f} MB",
        "size": None if trial.artifact is None else f"{trial.artifact.size_bytes / 1e6:.1f} MB",
    }
    return {name: shown for name, shown in figures.items() if shown is not None}


def _peak(trial: Trial) -> int | None:
    return trial.peak_timed_bytes or trial.peak_memory_bytes


def _errors(trial: Trial) -> dict[str, float | None]:
    """Return by how much boxes (pixels) and scores of confident anchors are off, in the mean."""
    groups = () if trial.parity is None else trial.parity.reference
    found = {one.group: one.confident_error for one in groups}
    return {group: found.get(group) for group in ("boxes", "scores")}


def _inverse(ratio: Ratio | None) -> Ratio | None:
    if ratio is None or ratio.low is None or ratio.high is None:
        return None
    return Ratio(value=1 / ratio.value, low=1 / ratio.high, high=1 / ratio.low)


def _times(ratio: Ratio | None) -> str:
    return "" if ratio is None else f"{_interval(ratio)} times as fast"


def _interval(ratio: Ratio) -> str:
    return f"{ratio.value:.2f}" + ("" if ratio.low is None else f" [{ratio.low:.2f}, {ratio.high:.2f}]")
