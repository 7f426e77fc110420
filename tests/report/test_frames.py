"""The table and the samples as pandas, polars and Parquet: the same figures, with the same types in every Run."""

from __future__ import annotations

import csv
import sys

import msgspec
import numpy as np
import pandas
import polars
import pytest

from bakeoff import report
from bakeoff.api import Run
from bakeoff.errors import InputError
from bakeoff.records import WarmUp
from bakeoff.report import frames
from bakeoff.report.table import COUNTS, View, columns, row
from bakeoff.view import TEXTS
from tests.report.test_report import TIMINGS, TRIALS, folder, record  # noqa: F401

WARM = WarmUp(generation=0, workload="1x1", block_medians_ms=(1.0,), settled=False)


@pytest.fixture
def run(folder):  # noqa: F811
    trials = (*TRIALS[:1], msgspec.structs.replace(TRIALS[1], warm_up=(WARM,)), *TRIALS[2:])
    folder.save(record(trials))
    report.write(folder, charts=False)
    return Run(folder.path)


def test_every_column_that_is_no_text_holds_numbers_and_counts_are_whole(run):
    view = View.make(run.record, TIMINGS)
    for cells in (row(view, line) for line in view.lines):
        words = {name for name, cell in cells.items() if isinstance(cell, str)}
        whole = {name for name, cell in cells.items() if isinstance(cell, int)}
        assert words <= TEXTS
        assert whole <= COUNTS
    assert set(columns(view)) >= TEXTS | COUNTS | frames.FLAGS


def test_both_frames_hold_the_cells_of_the_table_and_nothing_where_it_has_none(run):
    known = {row["candidate"]: row for row in csv.DictReader((run.path / "table.csv").open(newline=""))}
    for name, figures in (("pandas", run.to_pandas().to_dict("records")), ("polars", run.to_polars().to_dicts())):
        assert [one["candidate"] for one in figures] == list(known), name
        for one in figures:
            for column, cell in one.items():
                text = known[one["candidate"]][column]
                if cell is None or cell is pandas.NA or cell != cell:
                    assert text == "", (name, column)
                elif isinstance(cell, bool):
                    assert text == ("yes" if cell else "no"), (name, column)
                elif isinstance(cell, str):
                    assert text == cell, (name, column)
                else:
                    assert float(text) == pytest.approx(cell, rel=1e-6), (name, column)


def test_types_are_right_and_the_same_where_a_column_is_empty(run):
    full, empty = run.to_polars(), frames.to_polars(frames.table(View.make(run.record, {})))
    assert full.schema == empty.schema
    assert full["latency_1x1_ms"].null_count() < empty["latency_1x1_ms"].null_count()
    kinds = {"candidate": polars.String, "tied_with": polars.String, "images": polars.Int64, "size_bytes": polars.Int64}
    kinds |= {"map_delta": polars.Float64, "energy_j_per_frame": polars.Float64, "warm_up_settled": polars.Boolean}
    assert {name: full.schema[name] for name in kinds} == kinds
    types = run.to_pandas().dtypes.astype(str).to_dict()
    assert types["candidate"] == "string"
    assert types["size_bytes"] == "Int64"
    assert types["map_delta"] == "float64"
    assert types["warm_up_settled"] == "boolean"
    assert run.to_polars()["warm_up_settled"].to_list() == [None, False, None, None, None, None]


def test_somebody_elses_mean_of_a_count_stays_a_mean():
    assert frames._typed("images", [250.0, None]) == (int, [250, None])
    assert frames._typed("images", [250.5, None]) == (float, [250.5, None])


def test_a_parquet_file_reads_back_as_the_frame(run, tmp_path):
    path = run.report(tmp_path / "x.parquet")
    back = polars.read_parquet(path)
    assert back.equals(run.to_polars())
    assert back.schema == run.to_polars().schema


def test_samples_are_one_row_a_counted_prediction(run):
    frame = run.samples()
    assert list(frame.columns) == list(frames.SAMPLES)
    assert len(frame) == sum(one.latency_ns.size for one in TIMINGS.values())
    two = frame[(frame["candidate"] == "b/fp32/dyn") & (frame["workload"] == "2x1")]
    known = TIMINGS["b/fp32/dyn", "2x1"]
    assert set(two["stream"]) == {0, 1}
    one = two[(two["round"] == 7) & (two["stream"] == 1) & (two["prediction"] == 2)]
    assert one["run_ms"].item() == known.run_ns[7, 1, 2] * 1e-6
    assert np.allclose(frame["latency_ms"], frame["pre_ms"] + frame["run_ms"] + frame["post_ms"])
    medians = run.to_polars("samples").group_by("candidate", "workload").agg(polars.col("latency_ms").median())
    found = {(a, b): median for a, b, median in medians.iter_rows()}
    table = run.to_polars()
    for key, median in zip(table["candidate"], table["latency_1x1_ms"], strict=True):
        assert found.get((key, "1x1")) == pytest.approx(median)


def test_a_run_without_samples_has_an_empty_frame_of_the_same_columns(run):
    none = frames.samples({}, ["b/fp32/dyn"])
    assert frames.to_polars(none).schema == run.to_polars("samples").schema
    assert len(frames.to_pandas(none)) == 0


def test_without_the_library_one_line_says_what_to_install(run, tmp_path, monkeypatch):
    for package in ("pandas", "polars"):
        monkeypatch.setitem(sys.modules, package, None)
    for ask, package in (
        (run.to_pandas, "pandas"),
        (run.to_polars, "polars"),
        (lambda: run.report(tmp_path / "x.parquet"), "polars"),
    ):
        with pytest.raises(InputError) as error:
            ask()
        assert str(error.value).endswith(f"{package} is not installed; pip install 'bakeoff[{package}]'")
    assert not (tmp_path / "x.parquet").exists()
    assert run.table() == run.rows
    assert list(run.samples()) == list(frames.SAMPLES)
    assert isinstance(run.samples()["latency_ms"], np.ndarray)


def test_a_frame_that_there_is_none_of_is_refused(run):
    with pytest.raises(InputError, match="ask for 'table' or 'samples'"):
        run.to_polars("rows")
