from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bakeoff import host
from bakeoff.records import Candidate, Model, RunRecord, Settings, Trial, Workload
from bakeoff.speed import schedule
from bakeoff.speed.streams import BlockSamples
from bakeoff.speed.telemetry import Telemetry
from bakeoff.steps import time as time_step
from bakeoff.steps.context import Context, Silent
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_time_budget_that_is_over_leaves_a_few_rounds_and_is_named_with_the_widest_interval(timed):
    table, report = rows(timed[1]), (timed[1] / "report.md").read_text()
    assert {row["timing_ended_1x1"] for row in table.values()} == {"time budget"}
    assert {row["rounds_1x1"] for row in table.values()} == {str(schedule.QUICK_ROUNDS)}
    assert "The time budget (0 s, `--time-budget`) ended the rounds" in report
    assert "the widest is 1x1 ±" in report


@pytest.mark.slow
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


@pytest.mark.slow
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


def a_run(*trials, reference):
    model = Model(
        path="m", sha256="", size_bytes=1, format="onnx", task="detect", class_names=("x",), stride=32, imgsz=64
    )
    return RunRecord(created="", settings=Settings(model="m"), bakeoff="", versions={}, host=host.describe(),
                     model=model, reference=reference, trials=trials)  # fmt: skip


def one_block(ms):
    ns = np.full((1, schedule.BLOCK), ms * 1_000_000)
    return BlockSamples(pre_ns=ns, run_ns=ns, post_ns=ns, span_ns=ns.sum(1), rest_ns=0)


def test_windows_of_telemetry_are_written_though_all_blocks_were_saved_before(tmp_path):
    """Rounds of ten seconds are saved one by one, so nothing is new when a generation ends."""
    with RunFolder.create(tmp_path / "run") as folder, Telemetry.open("cpu") as telemetry:
        record = time_step._Record(folder, telemetry)
        telemetry.start()
        record.add("a/fp32/dyn", Workload(streams=1, batch=1), 0, 0, one_block(5))
        record._saved_at -= 60
        record.save(every_s=10)
        telemetry.stop()
        record.save()
        assert folder.timings()["a/fp32/dyn", "1x1"].window.tolist() == [0]
        assert len(folder.telemetry()["start_ns"]) >= 1


def test_a_round_that_was_interrupted_is_never_numbered_again(tmp_path):
    """Its early Candidates have a block of that number; another one would pair with blocks of another day."""
    ref, other = (Candidate(backend=name, precision="fp32", shape="dyn") for name in ("ref", "other"))
    with RunFolder.create(tmp_path / "run") as folder, Telemetry.open("cpu") as telemetry:
        context = Context(folder, a_run(Trial(candidate=ref), Trial(candidate=other), reference=ref.key), Silent())
        record = time_step._Record(folder, telemetry)
        telemetry.start()
        for number in range(3):
            record.add(ref.key, Workload(streams=1, batch=1), 0, number, one_block(5))
        for number in range(2):
            record.add(other.key, Workload(streams=1, batch=1), 0, number, one_block(5))
        group = time_step._Group(context, record, 0, [ref.key, other.key], 60)
        assert group._first_free_round() == 3
