"""Reading the file: encoding, separator, header, decimal comma; every row as text by column."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bakeoff.errors import InputError, nearest, one_line
from bakeoff.records import Settings, Workload
from bakeoff.report.table import columns_with
from bakeoff.view import TEXTS

SEPARATORS = (",", ";", "\t")
NAMES = ("candidate", "label")
EMPTY = frozenset({"", "-", "–", "—", "n/a", "na", "nan", "none", "null"})
_OF_WORKLOAD = re.compile(r"(?:latency|frames_per_s|frames|speedup)_([1-9][0-9]*x[1-9][0-9]*)(?:_.*)?")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?%?")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row: its cells by column, those with nothing in them left out."""

    line: int  # in the file, from 1
    cells: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table as it was read."""

    path: Path
    rows: tuple[Row, ...]
    workloads: tuple[Workload, ...]  # that it has a column of
    decimal_comma: bool
    notes: tuple[str, ...]  # what was left out


def read(path: Path) -> Table:
    """Read a table.

    Raises:
        InputError: it can't be read, is no CSV, names no Candidates, or has no rows.
    """
    text = _text(path)
    separator = max(SEPARATORS, key=lambda one: _known_names(text, one))
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise InputError(f"table {path} is not CSV: {one_line(error, 120)}") from error
    head = [_name(cell) for cell in lines[0][1]] if lines else []
    if not set(NAMES) & set(head):
        raise InputError(
            f"table {path} has no column candidate or label in its first line; give a CSV with columns as in table.csv"
        )
    if twice := sorted({name for name in head if name and head.count(name) > 1}):
        raise InputError(f"table {path} has two columns {twice[0]!r}; leave one")
    if len(lines) == 1:
        raise InputError(f"table {path} has no rows; give one for each Candidate")
    workloads = _workloads(head)
    known = columns_with(workloads)
    found = tuple(_row(path, head, known, line, cells) for line, cells in lines[1:])
    unknown = [name for name in head if name not in known and name]
    notes = [f"left out: column {name!r} is none of table.csv's{nearest(name, known)} its columns: docs/file-format.md"
             for name in unknown]  # fmt: skip
    return Table(
        path=path,
        rows=found,
        workloads=tuple(w for w in workloads if any(_of(name) == str(w) for name in head)),
        decimal_comma=_decimal_comma(path, found, separator),
        notes=tuple(notes),
    )


def is_number(text: str) -> bool:
    """Whether a cell looks like a number, with a point or a comma."""
    return _NUMBER.fullmatch(text) is not None


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"table {path} cannot be read: {error.strerror or error}") from error
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(f"table {path} is not UTF-8 text (byte {error.start}); save it as CSV in UTF-8") from error
    if "\0" in text:
        raise InputError(f"table {path} is not CSV: it holds a zero byte")
    return text


def _known_names(text: str, separator: str) -> int:
    """Return how many columns of `table.csv` the first line has with this separator."""
    first = next((line for line in text.splitlines() if line.strip(f"{separator} ")), "")
    names = [_name(cell) for cell in next(csv.reader([first], delimiter=separator), [])]
    return len(set(names) & set(columns_with(_workloads(names))))


def _name(cell: str) -> str:
    return cell.strip().lower().replace(" ", "_")


def _of(column: str) -> str | None:
    match = _OF_WORKLOAD.fullmatch(column)
    return None if match is None else match.group(1)


def _workloads(head: Sequence[str]) -> tuple[Workload, ...]:
    """Return the default Workloads, and those of the columns."""
    found = list(Settings(model="").workloads)
    for name in filter(None, map(_of, head)):
        streams, _, batch = name.partition("x")
        if int(streams) <= 64 and int(batch) <= 64 and (one := Workload.parse(name)) not in found:
            found.append(one)
    return tuple(found)


def _row(path: Path, head: Sequence[str], known: Sequence[str], line: int, cells: Sequence[str]) -> Row:
    if any(cell.strip() for cell in cells[len(head) :]):
        raise InputError(
            f"table {path}, line {line}: {len(cells)} cells under {len(head)} columns; put cells with a separator in "
            "quotes"
        )
    values = {name: cell.strip() for name, cell in zip(head, cells, strict=False) if name in known}
    return Row(line=line, cells={name: value for name, value in values.items() if value.lower() not in EMPTY})


def _decimal_comma(path: Path, rows: Sequence[Row], separator: str) -> bool:
    """Whether figures are written with a comma; a comma and a point in one table could mean anything."""
    figures = [
        (row.line, name, cell)
        for row in rows
        for name, cell in row.cells.items()
        if name not in TEXTS and is_number(cell)
    ]
    commas = [one for one in figures if "," in one[2]]
    if commas and (separator == "," or any("." in cell for _, _, cell in figures)):
        line, name, cell = commas[0]
        raise InputError(
            f"table {path}, line {line}, column {name}: {cell!r} may mean two numbers; write all with a point, as 12.5"
        )
    return bool(commas)
