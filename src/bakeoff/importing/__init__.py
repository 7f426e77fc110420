"""A Run made of somebody else's figures: a table like `table.csv`, any subset of its columns (docs/cli.md)."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bakeoff import report
from bakeoff.bake import concluded
from bakeoff.errors import BakeoffError, InputError, nearest
from bakeoff.importing import rows, trials
from bakeoff.records import UNKNOWN, Host, Model, RunRecord, Settings, Trial
from bakeoff.steps.context import Observer, Silent
from bakeoff.store import RunFolder
from bakeoff.version import __version__


def import_table(
    path: Path,
    out: Path,
    *,
    reference: str | None = None,
    command: Sequence[str] = (),
    observer: Observer | None = None,
) -> Path:
    """Make a Run of a table, and return its folder; `reference` is a key, or what the table calls that row.

    Raises:
        InputError: the table can't be read, or a row or figure of it means nothing.
        StoreError: the folder can't be used.
    """
    run, notes = read(path, reference=reference, command=command)
    for note in notes:
        (observer or Silent()).say(note)
    with RunFolder.create(out) as folder:
        try:
            folder.save(concluded(run, folder))
            report.write(folder)
        except BakeoffError:
            folder.discard()
            raise
    return out


def read(path: Path, *, reference: str | None = None, command: Sequence[str] = ()) -> tuple[RunRecord, tuple[str, ...]]:
    """Return what a table says as a Run that was not judged, and notes on what of it was left out.

    Raises:
        InputError: the table can't be read, or a row or figure of it means nothing.
    """
    table = rows.read(path)
    made = trials.of(table)
    base = _reference(table, made, reference)
    if not base.trial.reported:
        raise InputError(
            f"table {path}, line {base.line}: the reference, {base.name!r}, has no figures; "
            "name another row with --reference"
        )
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    ordered = [base.trial, *(one.trial for one in made if one is not base)]
    run = RunRecord(
        created=now,
        settings=_settings(table, ordered, command),
        bakeoff=__version__,
        versions={},
        host=Host.unknown(),
        model=Model.unknown(),
        reference=base.trial.candidate.key,
        trials=tuple(ordered),
        imported=str(path),
        finished=now,
    )
    return run, (*table.notes, *(note for one in made for note in one.notes))


def _settings(table: rows.Table, made: Sequence[Trial], command: Sequence[str]) -> Settings:
    columns = {column for trial in made for column in trial.reported}
    return msgspec.structs.replace(
        Settings(model=UNKNOWN, workloads=table.workloads, command=tuple(command)),
        accuracy=bool({"val_map50_95", "map_delta"} & columns),
        speed=any(column.startswith(("latency_", "speedup_", "frames_")) for column in columns),
    )


def _reference(table: rows.Table, made: Sequence[trials.Made], asked: str | None) -> trials.Made:
    """Return the row that was asked for, else the one whose verdict says `reference`, else the first."""
    if asked is not None:
        found = [one for one in made if asked in (one.trial.candidate.key, one.name, one.trial.candidate.label)]
        if len(found) != 1:
            keys = [one.trial.candidate.key for one in made]
            raise InputError(
                f"--reference {asked!r} is no row of table {table.path}{nearest(asked, keys)} "
                f"its Candidates: {', '.join(keys)}"
            )
        return found[0]
    said = [one for one in made if one.is_reference]
    if len(said) > 1:
        lines = ", ".join(str(one.line) for one in said)
        raise InputError(f"table {table.path}: lines {lines} all say verdict reference; choose with --reference KEY")
    return said[0] if said else made[0]
