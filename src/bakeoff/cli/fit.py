"""A table within a terminal's width: what is least important goes first, numbers are never broken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len, set_cell_size
from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from bakeoff.report.summary import Column

GAP = 2
NAME_SHARE = 0.45  # of the width that the first column may take before it is folded
NAME_LEAST = 12


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """One column as it is shown."""

    head: tuple[str, ...]
    cells: tuple[str, ...]
    width: int
    figures: bool


def fit(columns: Sequence[Column], width: int | None) -> list[Fitted]:
    """Return the columns that fit, each in the widest form that does; with no width, all in their widest.

    The first column is never left out: its cells may be longer than its width, and are to be folded or cut.
    """
    columns = [replace(one, forms=tuple(tuple(map(printable, form)) for form in one.forms)) for one in columns]
    forms = [0] * len(columns)
    steps = sorted((rank, i) for i, column in enumerate(columns) for rank in column.ranks)
    name = _widest(columns[0], 0)
    if width is not None:
        name = min(name, max(NAME_LEAST, int(width * NAME_SHARE)))
        for _, i in steps:
            if _total(columns, forms, name) <= width:
                break
            forms[i] += 1
        name = max(NAME_LEAST, min(_widest(columns[0], 0), width - _total(columns, forms, 0)))
    return [
        Fitted(
            head=column.head,
            cells=column.forms[form],
            width=name if i == 0 else _widest(column, form),
            figures=column.figures,
        )
        for i, (column, form) in enumerate(zip(columns, forms, strict=True))
        if form < len(column.forms)
    ]


def _widest(column: Column, form: int) -> int:
    return max(map(cell_len, (*column.head, *column.forms[form])))


def _total(columns: Sequence[Column], forms: Sequence[int], name: int) -> int:
    """Return the width of a line, the first column taking `name`."""
    widths = [
        _widest(column, form) for column, form in zip(columns[1:], forms[1:], strict=True) if form < len(column.forms)
    ]
    return name + sum(widths) + GAP * len(widths)


def drawn(
    fitted: Sequence[Fitted],
    styles: Sequence[str],
    *,
    folded: bool,
    first: int = 0,
    heading: bool = True,
    words: Sequence[tuple[str, Sequence[str]]] = (),
) -> Table:
    """Return the table to print.

    Args:
        fitted: its columns.
        styles: one a row.
        folded: whether a name that is too long is folded, or else cut to one line.
        first: index of the first row.
        heading: whether there is one.
        words: further columns, of sentences, and their headings; they share the room that is left.
    """
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold", show_header=heading)
    lines = max(len(column.head) for column in fitted)
    for column in fitted:
        head = Text("\n".join(("",) * (lines - len(column.head)) + column.head))
        justify: JustifyMethod = "right" if column.figures else "left"
        table.add_column(head, justify=justify, no_wrap=True, overflow="crop", width=column.width)
    for name, _ in words:
        table.add_column(Text(name))
    for i, style in enumerate(styles, first):
        name = fold(fitted[0].cells[i], fitted[0].width) if folded else cut(fitted[0].cells[i], fitted[0].width)
        figures = (column.cells[i] for column in fitted[1:])
        sentences = (some[i] for _, some in words)
        table.add_row(Text(name), *(Text(printable(cell)) for cell in (*figures, *sentences)), style=style)
    return table


def fold(key: str, width: int) -> str:
    """Break a key into lines of at most `width` cells, after a `/` where there is one."""
    lines, rest, indent = [], key, ""
    while cell_len(indent + rest) > width:
        room = set_cell_size(rest, width - len(indent)).rstrip()
        at = room.rfind("/") + 1 or len(room)
        lines.append(indent + rest[:at])
        rest, indent = rest[at:], "  "
    return "\n".join((*lines, indent + rest))


def cut(key: str, width: int) -> str:
    """Shorten a key to `width` cells, out of its middle: both ends tell it from others."""
    if cell_len(key) <= width:
        return key
    left = (width - 1) // 2
    right = width - 1 - left
    return f"{set_cell_size(key, left)}…{key[len(key) - right :]}"


def printable(text: str) -> str:
    """Return outside text without what a terminal would obey."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
