"""The table, the words and the pages, from a Run made of records and samples alone."""

from __future__ import annotations

import csv
import itertools
from html import escape

import msgspec
import numpy as np
import pytest

from bakeoff import report
from bakeoff.errors import InputError
from bakeoff.judge import judge
from bakeoff.records import Failure, Model, RunRecord, Settings
from bakeoff.report.table import COLUMNS, View
from bakeoff.report.takeaways import answer, takeaways
from bakeoff.speed.samples import WorkloadSamples
from bakeoff.store import RunFolder
from tests.test_judge import FINE, LOST, REFERENCE, UNSURE, trial

CONTRACT = """candidate, label, backend, precision, shape, device, status, reason, verdict, tied_with, images, val_precision, val_recall,
val_map50, val_map50_95, map_delta, map_delta_low, map_delta_high, latency_1x1_ms, latency_1x1_p95_ms,
latency_1x1_p99_ms, latency_1x1_mean_ms, latency_1x2_ms, latency_2x1_ms, two_frames_ms, frames_1x1_s, frames_2x1_s, speedup_1x1,
speedup_1x1_low, speedup_1x1_high, run_1x1_ms, pre_1x1_ms, post_1x1_ms, convert_s, load_s, first_run_ms, size_bytes,
peak_memory_bytes, energy_j_per_frame"""  # noqa: E501
HOSTILE = "<script>alert(1)</script>|x"


def samples(latency_ms: float, streams: int = 1, rounds: int = 40) -> WorkloadSamples:
    rng = np.random.default_rng(int(latency_ms * 1000))
    run = (latency_ms * 1e6 * np.exp(rng.normal(0, 0.01, (rounds, streams, 4)))).astype(np.int64)
    tenth = run // 10
    return WorkloadSamples(
        generation=np.zeros(rounds, np.int32), round=np.arange(rounds, dtype=np.int32),
        pre_ns=tenth, run_ns=run - 2 * tenth, post_ns=tenth, span_ns=run.sum(2),
        rest_ns=np.zeros(rounds, np.int64), window=np.full(rounds, -1),
    )  # fmt: skip


TRIALS = (
    trial("a"),
    trial("b", FINE, convert_s=1.5, load_s=0.2, first_run_ms=30.0, peak_memory_bytes=10**8),
    trial("c", LOST),
    trial("d", UNSURE, not_measured={"1x2": "b1 takes no batch of 2"}),
    trial(
        "e", failure=Failure(step="load", kind="signal", cause=HOSTILE, log="logs/e.log", reproduce="bakeoff verify")
    ),
    trial("f", skip="f is not installed; install it"),
)
LATENCIES = {"a": 10.0, "b": 5.0, "c": 2.0, "d": 4.0}
TIMINGS = {
    **{(f"{name}/fp32/dyn", "1x1"): samples(ms) for name, ms in LATENCIES.items()},
    **{(f"{name}/fp32/dyn", "2x1"): samples(ms * 1.9, 2) for name, ms in LATENCIES.items()},
    **{(f"{name}/fp32/dyn", "1x2"): samples(ms * 1.5) for name, ms in LATENCIES.items() if name != "d"},
}


def record(trials=TRIALS, **settings) -> RunRecord:
    from bakeoff import host

    asked = Settings(model="m.pt", data="d.yaml", **settings)
    return RunRecord(
        created="2026-01-01", settings=asked, bakeoff="0", versions={}, host=host.describe(), reference=REFERENCE,
        model=Model(path=HOSTILE, sha256="0" * 64, size_bytes=1, format="onnx", task="detect", class_names=("x",),
                    stride=32, imgsz=64),
        trials=tuple(trials), verdicts=tuple(judge(trials, REFERENCE, TIMINGS, asked.requirements)), finished="later",
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    with RunFolder.create(tmp_path / "run") as folder:
        folder.save(record())
        arrays = {
            f"timing/{key}:{workload}/{name}": array
            for (key, workload), one in TIMINGS.items()
            for name, array in one.arrays().items()
        }
        folder.put("timing", arrays)
        folder.consolidate()
        yield folder


@pytest.fixture
def rows(folder):
    report.write(folder)
    with (folder.path / "table.csv").open(newline="") as file:
        return {row["backend"]: row for row in csv.DictReader(file)}


def test_the_columns_are_those_of_the_contract_in_its_order(folder):
    names = tuple(name.strip() for name in CONTRACT.replace("\n", " ").split(","))
    assert names == COLUMNS
    report.write(folder)
    assert tuple(csv.reader((folder.path / "table.csv").open()).__next__())[: len(names)] == names


def test_the_reference_is_the_first_row_and_failed_and_skipped_ones_have_their_reason(rows):
    assert next(iter(rows)) == "a"
    assert {name: row["status"] for name, row in rows.items()} == dict(
        a="ok", b="ok", c="ok", d="ok", e="failed", f="skipped"
    )
    assert rows["e"]["reason"] == f"load: {HOSTILE}"
    assert rows["f"]["reason"] == "f is not installed; install it"
    assert rows["d"]["reason"] == "1x2 not measured: b1 takes no batch of 2"


def test_what_was_not_measured_is_an_empty_cell(rows):
    assert rows["d"]["latency_1x2_ms"] == ""
    assert rows["e"]["latency_1x1_ms"] == ""
    assert rows["b"]["energy_j_per_frame"] == ""
    assert rows["b"]["latency_1x1_p99_ms"] == "", "160 samples say nothing about one in a hundred"


def test_figures_follow_from_the_samples(rows):
    b = {name: float(value) for name, value in rows["b"].items() if value.replace(".", "").replace("-", "").isdigit()}
    assert b["latency_1x1_ms"] == pytest.approx(5, rel=0.02)
    assert b["run_1x1_ms"] == pytest.approx(4, rel=0.02)
    assert b["frames_1x1_s"] == pytest.approx(1.25, rel=0.02)
    assert b["speedup_1x1"] == pytest.approx(2, rel=0.02)
    assert b["speedup_1x1_low"] < b["speedup_1x1"] < b["speedup_1x1_high"]
    assert b["two_frames_ms"] == min(b["latency_1x2_ms"], b["latency_2x1_ms"])
    assert b["map_delta_low"] == -0.002
    assert rows["a"]["speedup_1x1"] == "1"


def test_outside_text_stays_text_in_the_page(folder, rows):
    page = (folder.path / "report.html").read_text()
    assert HOSTILE not in page
    assert escape(HOSTILE) in page


def test_a_report_can_be_written_elsewhere_in_the_form_that_its_suffix_says(folder, tmp_path):
    for suffix, begins in ((".csv", "candidate,label"), (".md", "# bakeoff"), (".html", "<!doctype html>")):
        report.export(folder, tmp_path / f"x{suffix}")
        assert (tmp_path / f"x{suffix}").read_text().startswith(begins)
    with pytest.raises(InputError, match="suffix"):
        report.export(folder, tmp_path / "x.docx")


def test_the_answer_names_the_winner_its_gain_and_its_cost():
    text = answer(View.make(record(), TIMINGS))
    assert text.startswith("**Deploy `b/fp32/dyn`**")
    assert "as fast as `a/fp32/dyn`" in text
    assert "no measurable change" in text


def test_the_answer_is_to_stay_where_nothing_accepted_is_faster():
    text = answer(View.make(record(TRIALS[:1] + TRIALS[2:]), TIMINGS))
    assert text.startswith("**Stay with `a/fp32/dyn`**")
    assert "undecided" in text


def test_the_answer_is_none_where_the_reference_failed():
    broken = msgspec.structs.replace(TRIALS[0], failure=Failure(step="load", kind="error", cause="no"))
    assert "No answer" in answer(View.make(record((broken, *TRIALS[1:])), TIMINGS))


def test_takeaways_do_not_depend_on_the_order_of_rows():
    words = {
        tuple(sorted(takeaways(View.make(record(order), TIMINGS)))) for order in itertools.permutations(TRIALS[:4])
    }
    assert len(words) == 1
    (only,) = words
    assert any("Avoid, for what they lose: `c/fp32/dyn`" in text for text in only)
    assert any("Undecided: `d/fp32/dyn`" in text for text in only)


def test_a_quick_run_says_so():
    from bakeoff.report.markdown import render

    assert "--quick" in render(View.make(record(quick=True), TIMINGS), {})
    assert "--quick" not in render(View.make(record(), TIMINGS), {})
