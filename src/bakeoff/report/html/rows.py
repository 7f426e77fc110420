"""What every part of the page says of one Candidate: its figures by the columns of `table.csv`, and its standing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bakeoff.report.table import Cell, Line, View, row

Json = dict[str, Any]  # what goes to the page's script
GLYPHS = {  # beside the word, so that colour never stands alone
    "recommended": "★",
    "reference": "◆",
    "accepted": "✓",
    "undecided": "?",
    "rejected": "✕",
    "failed": "!",
    "skipped": "–",
    "built": "▢",
    "": "·",
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One Candidate's line and its figures; what was not measured is absent."""

    line: Line
    cells: Mapping[str, Cell]

    @property
    def key(self) -> str:
        """The Candidate's key."""
        return self.line.key

    @property
    def standing(self) -> str:
        """The verdict, or the status of a Candidate that ended early; empty where nothing was judged."""
        return self.line.verdict.verdict if self.line.trial.status == "ok" else self.line.trial.status

    def number(self, column: str) -> float | None:
        """Return a figure by its column."""
        value = self.cells.get(column)
        return float(value) if isinstance(value, (int, float)) else None

    def bounds(self, column: str) -> tuple[float, float] | None:
        """Return a figure's 95% interval; `None` where there is none."""
        low, high = self.number(f"{column}_low"), self.number(f"{column}_high")
        return None if low is None or high is None else (low, high)

    def mark(self, column: str, *, interval: str | None = None, scale: float = 1.0) -> Json | None:
        """Return a chart's mark for a column; its interval has the column's name, or the one that is given."""
        value = self.number(column)
        if value is None:
            return None
        found = self.bounds(interval or column)
        return mark(self.key, value * scale, None if found is None else (found[0] * scale, found[1] * scale))


def mark(key: str, value: float, bounds: tuple[float, float] | None = None) -> Json:
    """Return one figure as a chart takes it."""
    made: Json = {"key": key, "value": short(value)}
    if bounds is not None:
        made |= {"low": short(bounds[0]), "high": short(bounds[1])}
    return made


def short(value: float) -> float:
    """Return a figure as `table.csv` has it: more digits would be much of the page, and nobody sees them."""
    return float(f"{value:.7g}")


def rows(view: View) -> list[Row]:
    """Return one Row a Candidate, in the Run's order; figures of somebody else stand where none were measured."""
    found = []
    for line in view.lines:
        measured = {name: cell for name, cell in row(view, line).items() if cell is not None}
        found.append(Row(line=line, cells={**line.trial.reported, **measured}))
    return found
