from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bakeoff.speed import schedule
from bakeoff.store import RunFolder
from tests import tiny
from tests.cli.runner import bakeoff, rows
from tests.conftest import write_plugin

SOURCE = """
from bakeoff.testing import FakeBackend


class Fast(FakeBackend):
    name = "fast"


class Slow(FakeBackend):
    name = "slow"
    sleep_ms = 5.0
"""


@pytest.fixture(scope="module")
def timed(tiny_model, tmp_path_factory):
    """Two Runs of a fast and a slow fake beside the reference: one to a wide target, one without time."""
    folder = tmp_path_factory.mktemp("time")
    site = write_plugin(folder / "site", "paces", SOURCE, {"fast": "Fast", "slow": "Slow"})
    data = tiny.write_dataset(folder / "data", validation=6, training=0)
    common = ("time", tiny_model, "--data", data, "--only", "fast/*", "--only", "slow/*", "--frames", 24)

    def run(name: str, *options: object) -> Path:
        done = bakeoff(*common, "--workload", "1x1", "--out", name, *options, cwd=folder, plugins=[site])
        assert done.returncode == 0, done.stderr
        return folder / name

    return run("wide", "--precision-target", "90%"), run("late", "--precision-target", "0.0001", "--time-budget", "0s")


def test_rounds_end_where_intervals_are_as_narrow_as_asked(timed):
    run = RunFolder(timed[0]).load()
    table = rows(timed[0])
    assert run.timing["ended"] == {"1x1": "precision"}
    assert {row["timing_ended_1x1"] for row in table.values()} == {"precision"}
    assert run.timing["generations"] >= schedule.GENERATIONS
    for key in ("fast/fp32/dyn", "slow/fp32/dyn"):
        low, value, high = (float(table[key][f"speedup_1x1{end}"]) for end in ("_low", "", "_high"))
        assert low <= value <= high
        assert (high / low) ** 0.5 - 1 <= 0.9
        assert int(table[key]["rounds_1x1"]) >= 6  # 24 frames in blocks of 4


def test_a_time_budget_that_is_over_leaves_a_few_rounds_and_is_named_with_the_widest_interval(timed):
    table, report = rows(timed[1]), (timed[1] / "report.md").read_text()
    assert {row["timing_ended_1x1"] for row in table.values()} == {"time budget"}
    assert {row["rounds_1x1"] for row in table.values()} == {str(schedule.QUICK_ROUNDS)}
    assert "The time budget (0 s, `--time-budget`) ended the rounds" in report
    assert "the widest is 1x1 ±" in report


def test_every_block_lies_in_a_window_of_telemetry_and_what_is_unknown_says_why(timed):
    folder = RunFolder(timed[0])
    windows, told = folder.telemetry(), folder.load().timing["telemetry"]
    for samples in folder.timings().values():
        assert samples.window.min() >= 0
        assert samples.window.max() < len(windows["start_ns"])
        assert (np.diff(samples.window) >= 0).all()
        assert (samples.rest_ns >= 0).all()
    assert (windows["end_ns"] > windows["start_ns"]).all()
    assert told["cost_share"] < 0.05
    assert all(len(why.split()) > 2 for why in told["unknown"].values())
    assert told["sources"].keys() | told["unknown"].keys() >= {"cpu_others_share", "cpu_mhz", "cpu_energy_j"}
    assert "## The machine meanwhile" in (timed[0] / "report.md").read_text()


def test_percentiles_and_cold_start_stand_in_the_table(timed):
    row = rows(timed[0])["slow/fp32/dyn"]
    low, median, high = (float(row[n]) for n in ("latency_1x1_p50_ms_low", "latency_1x1_ms", "latency_1x1_p50_ms_high"))
    assert 5 <= low <= median <= high <= float(row["worst_1x1_ms"])
    assert row["latency_1x1_p99_ms"] == ""
    assert int(row["samples_missing_for_p99_1x1"]) + int(row["samples_1x1"]) == 400
    assert float(row["cold_start_s"]) > float(row["load_s"])
    assert float(row["jitter_1x1_ms"]) > 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--precision-target", "2"), "not a share such as 2% or 0.02"),
        (("--time-budget", "soon"), "not a duration such as 90s, 10m or 1h"),
    ],
)
def test_what_is_no_share_or_duration_is_refused_in_one_line(tiny_model, tmp_path, options, words):
    done = bakeoff("time", tiny_model, "--data", "x", *options, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
