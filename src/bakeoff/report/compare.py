"""Two Runs side by side in words: tables, Markdown for a pull request, and a line for each broken rule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bakeoff.comparison import Side
from bakeoff.comparison.accuracy import Samples
from bakeoff.errors import one_line
from bakeoff.records import CandidateChange, ComparedRun, Comparison, RuleFinding, RuleResult
from bakeoff.report import words
from bakeoff.report.table import View, columns, row
from bakeoff.store import RunFolder

MAP = "val_map50_95"
ACCURACY_HEAD = ("Candidate", "A", "B", "B - A [95%]", "B is")
SPEED_HEAD = ("Candidate", "A ms", "B ms", "A/B", "drift-free [95%]", "B is")
Rows = list[list[str]]


def side(path: Path) -> Side:
    """Read one of the two Runs.

    Raises:
        StoreError: there is none, or it can't be read.
    """
    folder = RunFolder(path)
    view = View.of(folder)
    return Side(
        path=str(path.resolve()),
        run=view.run,
        columns=columns(view),
        rows={line.key: row(view, line) for line in view.lines},
        timings=folder.timings(),
        samples=Samples(run=view.run, read=folder.samples),
    )


def accuracy_rows(comparison: Comparison, column: str = MAP) -> Rows:
    """Return a row for each Candidate in both Runs: key, A, B, B minus A, and what that says."""
    rows = []
    for one in comparison.candidates:
        figure = one.accuracy.get(column)
        if figure is not None:
            delta = "" if figure.delta is None else words.signed(figure.delta)
            if figure.low is not None and figure.high is not None:
                delta += f" [{words.signed(figure.low)}, {words.signed(figure.high)}]"
            values = (words.number(value, ".3f") for value in (figure.a, figure.b))
            rows.append([one.key, *values, delta, figure.says])
    return rows


def speed_rows(comparison: Comparison, workload: str, *, intervals: bool = False) -> Rows:
    """Return a row for each Candidate that both Runs timed; with `intervals`, of the times as taken as well."""
    rows = []
    for one in comparison.candidates:
        if (change := one.speed.get(workload)) is not None:
            bounds = (change.ratio_low, change.ratio_high) if intervals else (None, None)
            rows.append(
                [
                    one.key,
                    words.number(change.a_ms, ".2f"),
                    words.number(change.b_ms, ".2f"),
                    _ratio(change.ratio, *bounds),
                    _ratio(change.drift_free, change.drift_free_low, change.drift_free_high),
                    change.says,
                ]
            )
    return rows


def summary(comparison: Comparison) -> list[str]:
    """Return what differs, what could not be compared, and what else is to be known; a line each."""
    lines = [_accuracy_line(comparison), _speed_line(comparison), *_turned(comparison)]
    return [one_line(line, 2000) for line in (*lines, *comparison.notes)]


def rule_lines(comparison: Comparison) -> list[str]:
    """Return one line for each rule that is broken, and one for each that lacks data."""
    return [one_line(line, 10_000) for result in comparison.rules for line in _rule_lines(result)]


def markdown(comparison: Comparison) -> str:
    """Return the comparison for a pull request or a step summary; outside text stays text."""
    parts = [
        f"## bakeoff compare: {'passed' if comparison.passed else 'a rule is broken'}"
        if comparison.rules
        else "## bakeoff compare",
        f"A: {_run(comparison.a)}  \nB: {_run(comparison.b)}",
    ]
    if comparison.rules:
        parts.append(words.table(["rule", "result", "Candidates"], map(_rule_row, comparison.rules), words=True))
    parts.append("\n".join(f"- {words.plain(line)}" for line in summary(comparison)))
    if rows := accuracy_rows(comparison):
        parts += ["### mAP50-95", words.table(ACCURACY_HEAD, map(_safe, rows))]
    for i, workload in enumerate(comparison.workloads):
        head = [*SPEED_HEAD[:3], "A/B as timed [95%]", *SPEED_HEAD[4:]]
        table = words.table(head, map(_safe, speed_rows(comparison, workload, intervals=True)))
        if i == 0:
            parts += [f"### Speed at {workload}", table]
        else:
            parts.append(f"<details><summary>Speed at {workload}</summary>\n\n{table}\n\n</details>")
    parts.append(_how_to_read(comparison))
    return "\n\n".join(part for part in parts if part) + "\n"


def _accuracy_line(comparison: Comparison) -> str:
    if comparison.accuracy_refused:
        return f"Accuracy is not compared: {comparison.accuracy_refused}."
    compared = [one for one in comparison.candidates if MAP in one.accuracy and one.accuracy[MAP].delta is not None]
    if not compared:
        return "Accuracy is not compared: not measured in both."
    tested = [one for one in compared if one.accuracy[MAP].says]
    parts = [
        f"{word}: {', '.join(found)}"
        for word in ("better", "worse")
        if (found := [one.key for one in tested if one.accuracy[MAP].says == word])
    ]
    line = f"mAP50-95 differs for {sum(one.accuracy[MAP].says != 'tie' for one in tested)} of {_many(tested)}"
    line = "; ".join([line, *parts]) if tested else f"mAP50-95 of {_many(compared)} stands without intervals"
    whys = dict.fromkeys(one.no_interval for one in compared if one.no_interval)
    return f"{line}{''.join(f' ({why})' for why in whys)}."


def _speed_line(comparison: Comparison) -> str:
    if not comparison.workloads:
        return "Speed is not compared: no Workload was timed in both."
    if comparison.speed_refused:
        return f"Speed is shown, and not compared: {comparison.speed_refused}."
    changes = [(one.key, w, change) for one in comparison.candidates for w, change in one.speed.items()]
    tested = [(key, w, change) for key, w, change in changes if change.says]
    whys = dict.fromkeys(
        change.untested for key, _, change in changes if change.untested and key != comparison.b.reference
    )
    untested = "; ".join(whys)
    if not tested:
        return f"Speed is shown, and not tested: {untested or 'only the reference was timed in both'}."
    parts = [
        f"{word}: {', '.join(found)}"
        for word in ("faster", "slower")
        if (found := [f"{key} at {w}" for key, w, change in tested if change.says == word])
    ]
    line = f"Speed differs in {sum(change.says != 'tie' for *_, change in tested)} of {len(tested)} drift-free ratios"
    return "; ".join([line, *parts]) + (f" (others not tested: {untested})" if untested else "") + "."


def _turned(comparison: Comparison) -> Iterator[str]:
    """Yield what turned: Candidates that came or went, statuses, Verdicts, the recommendation."""
    for name, found in (
        ("A", [one.key for one in comparison.candidates if one.status_b is None]),
        ("B", [one.key for one in comparison.candidates if one.status_a is None]),
    ):
        if found:
            yield f"Only in {name}: {', '.join(found)}."
    for one in comparison.candidates:
        if one.status_a is None or one.status_b is None:
            continue
        if one.status_a != one.status_b:
            why = f" ({one.reason_b})" if one.reason_b and one.status_b != "ok" else ""
            yield f"{one.key}: {one.status_a} → {one.status_b}{why}"
        elif one.verdict_a != one.verdict_b:
            yield f"{one.key}: {one.verdict_a or 'no verdict'} → {one.verdict_b or 'no verdict'}"


def _rule_lines(result: RuleResult) -> Iterator[str]:
    if result.broken:
        yield f"broken: {result.rule}: " + "; ".join(map(_finding, result.broken))
    if result.missing:
        yield f"insufficient data: {result.rule}: {_missing(result.missing)}"


def _missing(findings: Sequence[RuleFinding]) -> str:
    """Return why data is missing; Candidates of one reason together."""
    by_reason: dict[str, list[str]] = {}
    for one in findings:
        by_reason.setdefault(one.text, []).append(one.candidate)
    return "; ".join(f"{', '.join(keys)}: {why}" if any(keys) else why for why, keys in by_reason.items())


def _finding(finding: RuleFinding) -> str:
    return f"{finding.candidate}: {finding.text}" if finding.candidate else finding.text


def _rule_row(result: RuleResult) -> list[str]:
    found = [*map(_finding, result.broken), *([_missing(result.missing)] if result.missing else [])]
    said = "**broken**" if result.broken else "**insufficient data**" if result.missing else "kept"
    kept = f"{result.held} keep it" if result.held else ""
    return [words.code(result.rule), said, _text("; ".join([*found, *([kept] if kept else [])]))]


def _safe(cells: Sequence[str]) -> list[str]:
    return [words.code(cells[0]), *map(_text, cells[1:])]


def _run(run: ComparedRun) -> str:
    kind = "imported" if run.imported else "finished" if run.finished else "interrupted"
    end = f", recommends {words.code(run.recommended)}" if run.recommended else ""
    model = f"{_text(Path(run.model).name)} (sha256 `{run.model_sha256[:8]}…`)"
    return f"{words.code(Path(run.path).name)}, {kind}, begun {_text(run.created)}, Model {model}{end}"


def _text(text: str) -> str:
    """Return outside text for Markdown, on one line: names of files and Candidates are not ours."""
    return words.plain(one_line(text, 10_000))


def _how_to_read(comparison: Comparison) -> str:
    parts = []
    if any(one.accuracy for one in comparison.candidates) and not comparison.accuracy_refused:
        parts.append("Accuracy: B minus A on the same images, 95% interval of a paired bootstrap over images.")
    if any(one.speed for one in comparison.candidates) and not comparison.speed_refused:
        parts.append(
            "Speed: A's time over B's by block medians, above 1 B is faster. *As timed*: drift of the machine "
            "between the Runs is not in its interval, so nothing follows from it. *Drift-free*: B's speedup over A's "
            "against the same reference; *tie*: its interval holds 1."
        )
    return " ".join(parts)


def _ratio(value: float | None, low: float | None, high: float | None) -> str:
    shown = words.number(value, ".2f")
    return shown if low is None or high is None else f"{shown} [{low:.2f}, {high:.2f}]"


def _many(found: Sequence[CandidateChange]) -> str:
    return f"{len(found)} Candidate{'s' * (len(found) != 1)}"
