"""Two Runs side by side: what differs, how surely, and what can't be compared. Pure; decision 0025."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from bakeoff.comparison import accuracy, basis, speed
from bakeoff.comparison.gate import Gate, Row, passed
from bakeoff.comparison.rules import Rule, parse
from bakeoff.records import CandidateChange, ComparedRun, Comparison, FigureChange, RunRecord, SpeedChange, Trial
from bakeoff.speed.samples import Timings


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two Runs."""

    path: str
    run: RunRecord
    columns: tuple[str, ...]  # of its `table.csv`
    rows: Mapping[str, Row]  # by Candidate key
    timings: Timings
    samples: accuracy.Samples

    def trial(self, key: str) -> Trial | None:
        """Return the Trial of a key; `None`: it has none."""
        return next((trial for trial in self.run.trials if trial.candidate.key == key), None)

    def figure(self, key: str, column: str) -> float | None:
        """Return a figure of `table.csv`."""
        cell = self.rows.get(key, {}).get(column)
        return float(cell) if isinstance(cell, (int, float)) else None

    def verdict(self, key: str) -> str:
        """Return a Candidate's Verdict, in a word."""
        return str(self.rows.get(key, {}).get("verdict") or "")


def compare(a: Side, b: Side, fail_if: Sequence[str] = (), *, allow_missing: bool = False) -> Comparison:
    """Compare two Runs, and look whether rules are broken.

    Args:
        a: the Run to compare with: the baseline.
        b: the Run that is asked about.
        fail_if: rules, see `rules`.
        allow_missing: whether a rule may lack data.

    Raises:
        InputError: a rule that can't be read, or is about nothing here.
    """
    columns = tuple(dict.fromkeys((*a.columns, *b.columns)))
    workloads = [str(w) for w in a.run.settings.workloads if w in b.run.settings.workloads]
    tested = (*(f"latency_{w}_ms" for w in workloads), *accuracy.COLUMNS)
    rules = [parse(text, columns, tested) for text in fail_if]  # before minutes of resampling
    no_accuracy, no_speed = basis.accuracy_refused(a.run, b.run), basis.speed_refused(a.run, b.run)
    keys = dict.fromkeys((*a.rows, *b.rows))
    changes = {key: _candidate(key, a, b, workloads, no_accuracy, no_speed) for key in keys}
    gate = Gate(
        rows_a=a.rows,
        rows_b=b.rows,
        changes=changes,
        reference=b.run.reference,
        accuracy_refused=no_accuracy,
        speed_refused=lambda key: no_speed or _other_device(key, a, b),
    )
    results = tuple(gate.result(rule) for rule in rules)
    timed = [w for w in workloads if any(w in one.speed and one.speed[w].ratio for one in changes.values())]
    return Comparison(
        a=_compared(a),
        b=_compared(b),
        accuracy_refused=no_accuracy,
        speed_refused=no_speed,
        notes=tuple(_notes(a, b)),
        workloads=tuple(timed),
        candidates=tuple(changes.values()),
        rules=results,
        passed=passed(results, allow_missing=allow_missing),
    )


def _candidate(
    key: str, a: Side, b: Side, workloads: Sequence[str], no_accuracy: str, no_speed: str
) -> CandidateChange:
    ours, theirs = a.trial(key), b.trial(key)
    one = CandidateChange(
        key=key,
        status_a=None if ours is None else ours.status,
        status_b=None if theirs is None else theirs.status,
        reason_b="" if theirs is None else theirs.reason,
        verdict_a=a.verdict(key),
        verdict_b=b.verdict(key),
    )
    if ours is None or theirs is None:
        return one
    figures, no_interval = _figures(key, a, b, no_accuracy)
    return msgspec.structs.replace(
        one,
        accuracy=figures,
        no_interval=no_interval,
        speed=_speeds(key, a, b, workloads, no_speed),
    )


def _figures(key: str, a: Side, b: Side, refused: str) -> tuple[dict[str, FigureChange], str]:
    pairs = {column: (a.figure(key, column), b.figure(key, column)) for column in accuracy.COLUMNS}
    pairs = {column: pair for column, pair in pairs.items() if pair != (None, None)}
    if refused:
        return {column: FigureChange(a=one, b=other, delta=None) for column, (one, other) in pairs.items()}, ""
    if a.run.imported is not None or b.run.imported is not None:
        return {
            column: accuracy.difference(*pair) for column, pair in pairs.items()
        }, "imported figures have no samples"
    return accuracy.changes(key, pairs, a.samples, b.samples) if pairs else ({}, "")


def _speeds(key: str, a: Side, b: Side, workloads: Sequence[str], refused: str) -> dict[str, SpeedChange]:
    refused = refused or _other_device(key, a, b)
    found = {}
    for workload in workloads:
        medians = a.figure(key, f"latency_{workload}_ms"), b.figure(key, f"latency_{workload}_ms")
        if medians != (None, None):
            found[workload] = speed.change(
                (key, workload),
                medians,
                (a.timings, b.timings),
                a.run.reference,
                refused or basis.untested(a.run, b.run),
                alike=not refused,
            )
    return found


def _other_device(key: str, a: Side, b: Side) -> str:
    ours, theirs = a.trial(key), b.trial(key)
    return "" if ours is None or theirs is None else speed.device_refused(ours, theirs)


def _compared(side: Side) -> ComparedRun:
    run = side.run
    recommended = (verdict.key for verdict in run.verdicts if verdict.verdict == "recommended")
    return ComparedRun(
        path=side.path,
        created=run.created,
        finished=run.finished is not None,
        imported=run.imported is not None,
        model=run.model.path,
        model_sha256=run.model.sha256,
        reference=run.reference,
        recommended=next(recommended, None),
    )


def _notes(a: Side, b: Side) -> list[str]:
    notes = list(basis.notes(a.run, b.run))
    if a.path == b.path:
        notes.insert(0, "A and B are one and the same Run")
    for name, side, other in (("A", a, b), ("B", b, a)):
        alone = [str(w) for w in side.run.settings.workloads if w not in other.run.settings.workloads]
        if alone and side.timings:
            notes.append(f"Workloads in {name} alone, so not compared: {', '.join(alone)}")
        if side.run.settings.speed and side.run.imported is None and not side.timings:
            notes.append(f"{name} keeps no timing samples: it has no speed")
    return notes


__all__ = ["Comparison", "Rule", "Side", "compare"]
