"""The language of `--fail-if`: what breaks a build, said about one column of `table.csv` (docs/compare.md)."""

from __future__ import annotations

import fnmatch
import math
import operator
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from bakeoff.errors import InputError, nearest, one_line
from bakeoff.view import TEXTS

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
FORMS = '"COLUMN > 20", "COLUMN > +5%" (against A), "change of COLUMN < -0.01" (B minus A)'
PARTS = re.compile(
    r"(?:(?P<pattern>[^\s:<>=]+)\s*:\s*)?(?P<surely>surely\s+)?(?P<change>change\s+of\s+)?"
    r"(?P<column>\w+)\s*(?P<operator>>=|<=|==|!=|>|<)\s*(?P<limit>\S.*)"
)
NUMBER = re.compile(r"(?P<sign>[+-]?)(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?P<percent>\s*%)?", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule: it is broken where what it says is true."""

    text: str
    column: str
    operator: str
    limit: float | str
    pattern: str = "*"  # of Candidate keys
    surely: bool = False  # only where the whole interval says so
    change: bool = False  # about B minus A, not about B's own value
    relative: bool = False  # about B over A minus 1

    @property
    def compares(self) -> bool:
        """Whether it needs A."""
        return self.change or self.relative

    def covers(self, key: str) -> bool:
        """Whether it is about a Candidate."""
        return fnmatch.fnmatchcase(key, self.pattern)

    def breaks(self, value: float | str) -> bool:
        """Whether a value breaks it."""
        return bool(OPERATORS[self.operator](value, self.limit))


def parse(text: str, columns: Collection[str], tested: Collection[str]) -> Rule:
    """Read one rule.

    Args:
        text: as given.
        columns: that there are.
        tested: columns whose change may have an interval.

    Raises:
        InputError: it is none; the message says what to write instead.
    """
    said = f"rule {one_line(text, 80)!r}"
    match = PARTS.fullmatch(text.strip())
    if match is None:
        raise InputError(f"{said} can't be read: write {FORMS}")
    column, sign = match["column"], match["operator"]
    if column not in columns:
        raise InputError(f"{said}: table.csv has no column {column!r}{nearest(column, columns)} see docs/compare.md")
    change, surely = match["change"] is not None, match["surely"] is not None
    pattern = match["pattern"] or "*"
    if column in TEXTS:
        if change or surely or sign not in ("==", "!="):
            raise InputError(f"{said}: {column} is text, compare it with == or != alone")
        return Rule(text=text, pattern=pattern, column=column, operator=sign, limit=_unquoted(match["limit"]))
    number = NUMBER.fullmatch(match["limit"].strip())
    limit = math.nan if number is None else float(number[0].rstrip("% \t"))
    if number is None or not math.isfinite(limit):
        raise InputError(f"{said}: {one_line(match['limit'], 40)!r} is no number: write {FORMS}")
    relative, signed = number["percent"] is not None, bool(number["sign"])
    if relative:
        _check_relative(said, column, change=change, signed=signed)
        limit /= 100
    elif not change and signed and not _has_sign(column):
        raise InputError(
            f"{said}: {column} is never below 0, so {number[0]} is no value of its own; a difference to A is "
            f"'change of {column} {sign} {number[0]}'"
        )
    if surely:
        _check_surely(said, column, sign, tested, compares=change or relative)
    return Rule(
        text=text, pattern=pattern, column=column, operator=sign, limit=limit,
        surely=surely, change=change, relative=relative,
    )  # fmt: skip


def _check_relative(said: str, column: str, *, change: bool, signed: bool) -> None:
    if change:
        raise InputError(f"{said}: a percentage is a change already; leave out 'change of'")
    if not signed:
        raise InputError(f"{said}: a percentage is a change against A and has a sign, such as +5% or -5%")
    if _has_sign(column):
        raise InputError(f"{said}: {column} is a difference and may be 0; ask for 'change of {column}'")


def _check_surely(said: str, column: str, sign: str, tested: Collection[str], *, compares: bool) -> None:
    if not compares:
        raise InputError(f"{said}: 'surely' is about a change; of B's own value, ask for its bound, as map_delta_high")
    if sign in ("==", "!="):
        raise InputError(f"{said}: 'surely' goes with <, <=, > and >=")
    if column not in tested:
        raise InputError(f"{said}: no interval is known of a change of {column}; 'surely' knows {', '.join(tested)}")


def _has_sign(column: str) -> bool:
    """Whether a column's own values can be negative: differences can, all else is a size, a share or a count."""
    return "_delta" in column or column.startswith("score_shift")


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
