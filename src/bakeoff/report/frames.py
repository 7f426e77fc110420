"""The table and the raw samples as columns with types: for pandas, for polars, and as a Parquet file."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bakeoff.backend import missing
from bakeoff.errors import InputError
from bakeoff.report.table import COUNTS, Cell, View, columns, row
from bakeoff.speed.samples import MS, Timings
from bakeoff.view import TEXTS

FLAGS = frozenset(("warm_up_settled",))  # yes or no in `table.csv`
SAMPLES: dict[str, type] = {
    "candidate": str,
    "workload": str,
    **dict.fromkeys(("generation", "round", "stream", "prediction"), int),
    **dict.fromkeys(("pre_ms", "run_ms", "post_ms", "latency_ms"), float),
}

Columns = dict[str, tuple[type, Sequence[Any] | npt.NDArray[Any]]]  # name -> type and cells; None is an empty one


def table(view: View) -> Columns:
    """Return the table by column; an empty one has its type all the same, so that tables of several Runs fit."""
    rows = [row(view, line) for line in view.lines]
    return {name: _typed(name, [cells[name] for cells in rows]) for name in columns(view)}


def _typed(name: str, cells: list[Cell]) -> tuple[type, list[Any]]:
    if name in FLAGS:
        return bool, [None if cell is None else cell == "yes" for cell in cells]
    if name in TEXTS:
        return str, [None if cell is None else str(cell) for cell in cells]
    figures = [None if cell is None else float(cell) for cell in cells]
    if name in COUNTS and all(figure is None or figure.is_integer() for figure in figures):
        return int, [None if figure is None else int(figure) for figure in figures]
    return float, figures  # somebody else's count may be a mean


def samples(timings: Timings, keys: Iterable[str]) -> Columns:
    """Return every counted prediction as one row, by column; `round` is counted over the Run, the others from 0.

    The cells are NumPy arrays.
    """
    parts: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in SAMPLES}
    for key in keys:
        for workload in (workload for one, workload in timings if one == key):
            of = timings[key, workload]
            index, stream, prediction = (axis.ravel() for axis in np.indices(of.pre_ns.shape, np.int32))
            times = (of.pre_ns, of.run_ns, of.post_ns, of.latency_ns)
            columns = (
                np.full(index.size, key, object),
                np.full(index.size, workload, object),
                of.generation[index],
                of.round[index],
                stream,
                prediction,
                *(ns.ravel() * MS for ns in times),
            )
            for some, column in zip(parts.values(), columns, strict=True):
                some.append(column)
    return {
        name: (kind, np.concatenate(parts[name]) if parts[name] else np.empty(0, object if kind is str else kind))
        for name, kind in SAMPLES.items()
    }


def to_pandas(data: Columns) -> Any:
    """Return a pandas DataFrame: text `string`, counts `Int64`, yes or no `boolean`, figures `float64` with NaN.

    Raises:
        InputError: pandas is not installed.
    """
    if why := missing("pandas", "pandas"):
        raise InputError(why)
    import pandas

    types = {str: "string", int: "Int64", bool: "boolean", float: "float64"}
    return pandas.DataFrame({name: pandas.Series(cells, dtype=types[kind]) for name, (kind, cells) in data.items()})


def to_polars(data: Columns) -> Any:
    """Return a polars DataFrame; an empty cell is null.

    Raises:
        InputError: polars is not installed.
    """
    if why := missing("polars", "polars"):
        raise InputError(why)
    import polars

    types = {str: polars.String, int: polars.Int64, bool: polars.Boolean, float: polars.Float64}
    return polars.DataFrame(
        [polars.Series(name, cells, dtype=types[kind]) for name, (kind, cells) in data.items()],
    )


def parquet(view: View) -> bytes:
    """Return the table as a Parquet file.

    Raises:
        InputError: polars is not installed.
    """
    file = io.BytesIO()
    to_polars(table(view)).write_parquet(file)
    return file.getvalue()
