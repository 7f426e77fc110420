"""From rows to Trials: every figure checked, what a Trial has no place for named."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bakeoff.errors import InputError, one_line
from bakeoff.importing import names
from bakeoff.importing.rows import Row, Table, is_number
from bakeoff.records import Failure, SessionFacts, Trial
from bakeoff.view import TEXTS

STATUSES = ("ok", "built", "failed", "skipped")
STEPS = ("convert", "load", "verify", "time")
JUDGED = "chance_"  # columns of another judgement, as are those of verdicts and ties
REPORTED = "reported"  # the step of a Failure whose table names none
SHARES = re.compile(r"val_.*|matched_share.*|mean_iou.*|class_flips.*|confidence|op_(precision|recall|f1)(_low|_high)?")
SIGNED = re.compile(r".*_delta(_low|_high)?|score_shift.*")
POSITIVE = re.compile(r"latency_.*|two_frames_ms|frames_.*|speedup_.*|images|size_bytes|peak_memory_bytes|sustained_.*")
_NOT_MEASURED = re.compile(r"([1-9][0-9]*x[1-9][0-9]*) not measured: (.+)")


@dataclass(frozen=True, kw_only=True)
class Made:
    """A Trial made of a row."""

    trial: Trial
    line: int
    name: str
    is_reference: bool
    notes: tuple[str, ...]


def of(table: Table) -> list[Made]:
    """Return the Trials of a table, in its order.

    Raises:
        InputError: two rows are about the same Candidate, or a cell means nothing.
    """
    seen: dict[str, int] = {}
    for row in table.rows:
        name = names.name_of(table.path, row)
        if name in seen:
            raise InputError(f"table {table.path}, line {row.line}: {name!r} stands in line {seen[name]} already")
        seen[name] = row.line
    made = [_made(table, row) for row in table.rows]
    count = Counter(one.trial.candidate.key for one in made)
    return [_apart(table, made, one) if count[one.trial.candidate.key] > 1 else one for one in made]


def _apart(table: Table, made: Sequence[Made], one: Made) -> Made:
    """Give a Candidate that another row's label reads like a key of its own; one that is said twice is an error."""
    alike = [other for other in made if other.trial.candidate.key == one.trial.candidate.key]
    moved = [names.apart(other.trial.candidate) for other in alike]
    if any(names.KEY.fullmatch(other.name) for other in alike) or len({two.key for two in moved}) < len(moved):
        first, second, *_ = alike
        raise InputError(
            f"table {table.path}, line {second.line}: {second.name!r} is the same Candidate as line {first.line}, "
            f"{one.trial.candidate.key}; tell them apart by backend, precision or shape"
        )
    return Made(
        trial=msgspec.structs.replace(one.trial, candidate=names.apart(one.trial.candidate)),
        line=one.line,
        name=one.name,
        is_reference=one.is_reference,
        notes=one.notes,
    )


def _made(table: Table, row: Row) -> Made:
    cells, candidate = row.cells, names.candidate_of(table.path, row)
    status = cells.get("status", "ok").lower()
    if status not in STATUSES:
        raise InputError(
            f"table {table.path}, line {row.line}, column status: {cells['status']!r} is none of {', '.join(STATUSES)}"
        )
    reason = one_line(cells.get("reason", ""))
    why = reason or "the table does not say why"
    missing, notes = _not_measured(row, reason) if status == "ok" else ({}, ())
    device = cells.get("device")
    trial = Trial(
        candidate=candidate,
        skip=why if status == "skipped" else None,
        failure=_failure(why) if status == "failed" else None,
        built_only=why if status == "built" else None,
        session=None if device is None else SessionFacts(device=one_line(device), precision=candidate.precision),
        not_measured=missing,
        reported={
            name: _figure(table.path, row, name, cell, decimal_comma=table.decimal_comma)
            for name, cell in cells.items()
            if name not in TEXTS and not name.startswith(JUDGED)
        },
    )
    return Made(
        trial=trial,
        line=row.line,
        name=names.name_of(table.path, row),
        is_reference=cells.get("verdict", "").lower() == "reference",
        notes=notes,
    )


def _failure(reason: str) -> Failure:
    step, found, cause = reason.partition(": ")
    if found and step in STEPS:
        return Failure(step=step, kind="error", cause=cause)
    return Failure(step=REPORTED, kind="error", cause=reason)


def _not_measured(row: Row, reason: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return why cells of an ok row are empty, by Workload, and what else its reason says, which has no place."""
    parts = [part for part in reason.split("; ") if part]
    matches = [_NOT_MEASURED.fullmatch(part) for part in parts]
    found = {match.group(1): match.group(2) for match in matches if match is not None}
    left = [part for part, match in zip(parts, matches, strict=True) if match is None]
    return found, tuple(f"left out: the reason in line {row.line}, {part!r}: the row is ok" for part in left)


def _figure(path: Path, row: Row, column: str, cell: str, *, decimal_comma: bool) -> float:
    """Return a figure.

    Raises:
        InputError: it is no number, or none that the column can hold.
    """
    where = f"table {path}, line {row.line}, column {column}"
    text = cell.replace("−", "-")
    if not is_number(text):
        raise InputError(f"{where}: {one_line(cell, 60)!r} is not a number; give one as 12.5, or leave the cell empty")
    value = float((text.replace(",", ".") if decimal_comma else text).rstrip("%"))
    share = SHARES.fullmatch(column) and not SIGNED.fullmatch(column)
    if text.endswith("%"):
        if not share and not SIGNED.fullmatch(column):
            raise InputError(f"{where}: {cell!r} is a percentage, and the column holds none")
        value /= 100
    if value < 0 and not SIGNED.fullmatch(column):
        raise InputError(f"{where}: {cell} is negative; give a figure above 0, or leave the cell empty")
    if value == 0 and POSITIVE.fullmatch(column):
        raise InputError(f"{where}: {cell} is not above 0; leave the cell empty if it was not measured")
    if share and value > 1:
        raise InputError(f"{where}: {cell} is not a share from 0 to 1; give {value / 100:g} or {value:g}%")
    if value == float("inf"):
        raise InputError(f"{where}: {cell} is too large a number")
    return value
