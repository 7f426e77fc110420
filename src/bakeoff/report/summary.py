"""The few columns of the table that people look at first, on a terminal and in a notebook, in wide and narrow forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bakeoff.report.table import Cell, View, row
from bakeoff.report.words import signed


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column; where room is short it takes its next form, and at last it is left out."""

    head: tuple[str, ...]  # lines
    forms: tuple[tuple[str, ...], ...]  # cells, the widest form first
    ranks: tuple[int, ...] = ()  # of each step to the next form, and last of leaving out; the lowest goes first
    figures: bool = True


def columns(view: View) -> list[Column]:
    """Return the columns that hold anything: who, verdict, accuracy, latencies, speedup."""
    rows = [row(view, line) for line in view.lines]
    workloads = [str(workload) for workload in view.run.settings.workloads]
    compared = [_compared(cells) for cells in rows]
    found = [
        Column(head=("Candidate",), forms=(tuple(str(cells["candidate"]) for cells in rows),), figures=False),
        Column(head=("verdict",), forms=(tuple(standing(cells) for cells in rows),), figures=False),
        _estimated(rows, ("mAP", "50-95"), "val_map50_95", ".4f", (1, 4, 40)),
        _estimated(compared, ("Δ mAP", "50-95"), "map_delta", "+", (2, 5, 20)),
        *(
            Column(
                head=(workload, "ms"),
                forms=(tuple(_number(cells.get(f"latency_{workload}_ms"), ".1f") for cells in rows),),
                ranks=() if i == 0 else (max(6, 19 - i),),
            )
            for i, workload in enumerate(workloads)
        ),
        _estimated(compared, ("speedup", "1x1"), "speedup_1x1", ".2f", (3, 30, 41)),
    ]
    return [column for column in found if any(column.forms[0])]


def standing(cells: Mapping[str, Cell]) -> str:
    """Return a row's verdict, or its status where that is not ok."""
    return str(cells["verdict"] or "") if cells["status"] == "ok" else str(cells["status"])


def _compared(cells: Mapping[str, Cell]) -> Mapping[str, Cell]:
    """Return a row's cells; of the reference, whose difference to itself says nothing, its speedup of 1 alone."""
    return {"speedup_1x1": cells["speedup_1x1"]} if cells["verdict"] == "reference" else cells


def _estimated(
    rows: Sequence[Mapping[str, Cell]], head: tuple[str, ...], name: str, form: str, ranks: tuple[int, ...]
) -> Column:
    """Return a column with 95% intervals, then with half their widths, then without."""
    full, half, bare = [], [], []
    for cells in rows:
        value, low, high = (cells.get(f"{name}{bound}") for bound in ("", "_low", "_high"))
        shown = _number(value, form)
        bare.append(shown)
        if isinstance(low, (int, float)) and isinstance(high, (int, float)) and shown:
            full.append(f"{shown} [{_number(low, form)}, {_number(high, form)}]")
            half.append(f"{shown} ±{_number((high - low) / 2, form.replace('+', '.4f'))}")
        else:
            full.append(shown)
            half.append(shown)
    return Column(head=head, forms=(tuple(full), tuple(half), tuple(bare)), ranks=ranks)


def _number(value: Cell, form: str) -> str:
    if not isinstance(value, (int, float)):
        return ""
    return signed(value) if form == "+" else format(value, form)
