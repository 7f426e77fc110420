"""`report.md`: the answer, the table, the charts, and how it was measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from bakeoff.report import accuracy, cameras, speed, sustain, sweep, tune
from bakeoff.report.table import Line, View, workloads
from bakeoff.report.takeaways import answer, takeaways
from bakeoff.report.words import number, plain, table

CHART_TITLES = {
    "accuracy": "Accuracy snapshot",
    "speed": "Speed and throughput",
    "tradeoff": "Trade-off: accuracy against speed",
    "sweep": "Settings: latency against throughput",
}


def render(view: View, charts: Mapping[str, str]) -> str:
    """Return the report; `charts` maps a chart's name to its path beside the report."""
    run = view.run
    parts = [
        f"# bakeoff: {plain(Path(run.model.path).name)} on {plain(run.host.cpu or run.host.architecture)}",
        answer(view),
        *_warnings(view),
        *tune.sections(view),
        "## Results",
        _main_table(view),
        _how_to_read(view),
    ]
    for name, title in CHART_TITLES.items():
        if name in charts:
            parts += [f"## {title}", f"![{title}]({charts[name]})"]
    if words := takeaways(view):
        parts += ["## Takeaways", "\n".join(f"- {text}" for text in words)]
    parts += [
        *accuracy.sections(view),
        *_troubles(view),
        *speed.sections(view),
        *sweep.sections(view),
        *cameras.sections(view, charts),
        *sustain.sections(view, charts),
        "## What each one costs to have",
        _cost_table(view),
    ]
    parts += ["## How this was measured", "\n".join(f"- {line}" for line in method(view))]
    return "\n\n".join(parts) + "\n"


def _main_table(view: View) -> str:
    head = [
        "Candidate", "verdict", "P", "R", "mAP50", "mAP50-95", "Δ mAP50-95 [95%]",
        *(f"{w} ms" for w in workloads(view)), "p95 ms", f"{view.run.settings.frames} frames s", "speedup [95%]",
    ]  # fmt: skip
    rows = [[f"`{line.key}`", _verdict(line), *_accuracy(view, line), *_speed(view, line)] for line in view.lines]
    return table(head, rows)


def _verdict(line: Line) -> str:
    return line.verdict.verdict if line.trial.status == "ok" else line.trial.status


def _accuracy(view: View, line: Line) -> list[str]:
    measured = line.trial.accuracy
    if measured is None:
        return ["", "", "", "", ""]
    figures = [
        accuracy.with_half_width(getattr(measured, name), measured.intervals.get(name))
        for name in ("precision", "recall", "map50", "map50_95")
    ]
    return [*figures, accuracy.difference(line.trial.map_delta)]


def _speed(view: View, line: Line) -> list[str]:
    cells = [f"{line.latencies[str(w)].median_ms:.2f}" if str(w) in line.latencies else "" for w in workloads(view)]
    single = line.latencies.get("1x1")
    ratio = line.speedups.get("1x1")
    if ratio is not None:
        shown = f"{ratio.value:.2f}" + ("" if ratio.low is None else f" [{ratio.low:.2f}, {ratio.high:.2f}]")
    else:
        shown = "1" if single is not None and line.key == view.run.reference else ""
    return [*cells, *(["", ""] if single is None else [f"{single.p95_ms:.2f}", f"{single.frames_s:.2f}"]), shown]


def _how_to_read(view: View) -> str:
    margin = view.run.settings.requirements.max_map_drop
    recall = view.run.settings.requirements.max_recall_drop
    also = "" if recall is None else f" Recall at the one threshold below must keep its margin, -{recall:g}, as well."
    return (
        f"Δ is against the reference on the same images (paired bootstrap). *accepted*: the whole interval lies above "
        f"-{margin:g}; *rejected*: below it; *undecided*: these images can't tell.{also} ± is half the width of a 95% "
        "interval; P and R stand at each Candidate's own best F1. Latency is the median of one "
        "prediction, frame in memory to boxes in memory; `SxB` is S streams at once with batches of B frames. Speedup "
        "is the paired ratio at 1x1; intervals that hold 1 are ties. An empty cell was not measured."
    )


def notes(view: View) -> list[str]:
    """Return what the reader of any figure must know first, in sentences of Markdown."""
    run = view.run
    found = []
    if run.imported is not None:
        found.append(
            f"Somebody else's figures, from `{plain(run.imported)}`. They have no samples: where no interval stands, "
            "there is none, and a small difference may be noise. Model, host and images are not known here."
        )
    if run.settings.quick:
        found.append("`--quick`: few rounds, so intervals are wide; do not deploy on these figures.")
    if run.settings.images is not None and run.dataset is not None:
        found.append(f"Accuracy on the first {run.dataset.images} validation images only (`--images`).")
    if run.settings.frames < 250 and run.settings.speed:
        found.append(f"Timed on {run.settings.frames} frames a stream (`--frames`; the default is 250).")
    if run.finished is None:
        found.append("This Run was interrupted: figures stand on what was measured until then (`--resume` goes on).")
    if unsettled := sorted({line.key for line in view.lines for warm in line.trial.warm_up if not warm.settled}):
        found.append(f"Never settled while warming up: {', '.join(f'`{key}`' for key in unsettled)}.")
    return found


def _warnings(view: View) -> Iterable[str]:
    if found := notes(view):
        yield "\n".join(f"> **Note.** {note}" if i == 0 else f">\n> **Note.** {note}" for i, note in enumerate(found))


def _troubles(view: View) -> Iterable[str]:
    rows = [[f"`{line.key}`", line.trial.status, plain(line.trial.reason)] for line in view.lines if line.trial.reason]
    if not rows:
        return
    yield "## What is missing, and why"
    yield table(["Candidate", "status", "reason"], rows, words=True)
    for line in view.lines:
        if failure := line.trial.failure:
            yield f"`{line.key}`: reproduce with `{failure.reproduce}`; log: `{failure.log}`"


def _cost_table(view: View) -> str:
    rows = []
    for line in view.lines:
        trial, single = line.trial, line.latencies.get("1x1")
        rows.append(
            [
                f"`{line.key}`",
                number(trial.convert_s, ".1f"),
                number(trial.load_s, ".2f"),
                number(trial.first_run_ms, ".0f"),
                number(None if trial.artifact is None else trial.artifact.size_bytes / 1e6, ".1f"),
                number(None if trial.peak_memory_bytes is None else trial.peak_memory_bytes / 1e6, ".0f"),
                *(
                    ["", "", ""]
                    if single is None
                    else [f"{x:.2f}" for x in (single.pre_ms, single.run_ms, single.post_ms)]
                ),
            ]
        )
    return table(
        [
            "Candidate",
            "convert s",
            "load s",
            "first run ms",
            "size MB",
            "peak memory MB",
            "pre ms",
            "run ms",
            "post ms",
        ],
        rows,
    )


def method(view: View) -> list[str]:
    """Return how everything was measured, a line of Markdown each."""
    run, host = view.run, view.run.host
    settings = run.settings
    cores = f"{host.cores_usable} usable cores of {host.cores_physical or 'unknown'}"
    lines = [
        f"Model: `{plain(run.model.path)}`, sha256 `{run.model.sha256[:16]}…`, {run.model.imgsz}x{run.model.imgsz}, "
        f"{len(run.model.class_names)} classes, {run.model.format}",
        f"Host: {plain(host.cpu or 'unknown')}, {cores}, {host.memory_bytes / 2**30:.1f} GiB, {plain(host.os)}, "
        f"governor {host.governor or 'unknown'}, {'virtual machine' if host.virtual else 'no hypervisor seen'}, "
        f"load {number(host.load_1m, '.2f') or 'unknown'} at the start",
        f"Instruction sets: {', '.join(host.instruction_sets) or 'unknown'}",
    ]
    if run.dataset is not None:
        data = run.dataset
        lines.append(
            f"Images: {data.images} with {data.boxes} boxes from `{plain(data.path)}` ({data.background_images} "
            f"without a box, {data.duplicate_boxes} duplicate boxes dropped)"
        )
        if any(line.trial.candidate.calibrated and line.trial.skip is None for line in view.lines):
            lines.append(
                f"INT8 calibration: {data.calibration_images} images from "
                f"`{plain(data.calibration_from or 'nowhere')}`, disjoint from validation by content, "
                f"preset {settings.int8_preset}, seed {settings.seed}"
            )
    for line in view.lines:
        if line.trial.candidate.elsewhere and not line.trial.candidate.tuning and (made := line.trial.artifact):
            digests = ", ".join(f"`{plain(file.path)}` sha256 `{file.sha256[:16]}…`" for file in made.files)
            lines.append(f"Made elsewhere: `{line.key}` from `{plain(line.trial.candidate.elsewhere)}`: {digests}")
    if run.timing:
        lines.append(
            f"Timing: {settings.frames} frames a stream in blocks of {run.timing['block']}, rounds shuffled over all "
            f"Candidates, {run.timing.get('generations', 'some')} generations of fresh processes, "
            f"{run.timing['threads']} threads each"
            f"{' (quick)' if settings.quick else ''}; {run.timing.get('seconds', 0):.0f} s"
        )
    lines += [
        "Accuracy: confidence 0.001, NMS IoU 0.7, multi-label, 300 detections; "
        f"timing: confidence {settings.timed_confidence:g}",
        f"Seed {settings.seed}; begun {run.created}, finished {run.finished or 'not yet'}",
        f"bakeoff {run.bakeoff}, Python {host.python}, "
        + ", ".join(f"{name} {version}" for name, version in run.versions.items()),
    ]
    if settings.command:
        lines.append(f"Command: `{plain(' '.join(settings.command))}`")
    return lines
