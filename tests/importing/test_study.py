"""A published study, imported: its own advice must come out as takeaways.

The rows, the empty 1x2 cell, INT8's 2.2 times PyTorch's speed and its +0.015 mAP50 are those of the study that is told
at the end of the project's research notes (`baselines.md`). That page has no other figure of it, so the others here
are made up, in the order of size that such a GPU gives; they are no measurements.
"""

from __future__ import annotations

import csv

import msgspec
import pytest

import bakeoff
from bakeoff import importing, takeaways
from bakeoff.records import Verdict
from bakeoff.report.table import row
from bakeoff.view import View

STUDY = """\
label,precision,val_precision,val_recall,val_map50,val_map50_95,latency_1x1_ms,latency_1x2_ms,latency_2x1_ms,frames_1x1_s
PyTorch FP32,FP32,0.902,0.890,0.935,0.600,11.0,18.0,19.0,2.75
ONNX Runtime (static input),FP32,0.902,0.890,0.935,0.600,10.2,17.5,18.0,2.55
TensorRT FP32 (dynamic profile),FP32,0.902,0.890,0.935,0.600,7.4,12.0,12.8,1.85
TensorRT FP32 (batch-1 profile),FP32,0.902,0.890,0.935,0.600,7.2,,12.6,1.80
TensorRT FP16 (dynamic profile),FP16,0.902,0.889,0.934,0.599,5.9,9.0,9.8,1.48
TensorRT INT8 (dynamic profile),INT8,0.910,0.887,0.950,0.592,5.0,7.9,8.6,1.25
TorchScript,FP32,0.902,0.890,0.935,0.600,10.6,17.8,18.5,2.65
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    (folder / "study.csv").write_text(STUDY)
    return bakeoff.import_table(folder / "study.csv", out=folder / "run")


@pytest.fixture(scope="module")
def advice(run):
    """Takeaways on Verdicts that stand on the figures alone: no loss above the default margin."""
    verdicts = [Verdict(key=run.record.reference, verdict="reference")]
    verdicts += [Verdict(key=trial.candidate.key, verdict="accepted") for trial in run.record.trials[1:]]
    view = View.make(msgspec.structs.replace(run.record, verdicts=tuple(verdicts)), {})
    return {one.rule: one for one in takeaways.draw(view)}


def test_the_rows_get_keys_from_their_labels(run):
    assert [row["candidate"] for row in run.rows] == [
        "pytorch/fp32/unknown",
        "onnxruntime/fp32/static",
        "tensorrt/fp32/dyn",
        "tensorrt/fp32/b1",
        "tensorrt/fp16/dyn",
        "tensorrt/int8/dyn",
        "torchscript/fp32/unknown",
    ]


@pytest.mark.parametrize(
    ("rule", "key"),
    [
        ("easy-win", "tensorrt/fp32/dyn"),  # "a dynamic profile is the easiest win"
        ("balance", "tensorrt/fp16/dyn"),  # "FP16 is the best balance"
        ("most-extreme", "tensorrt/int8/dyn"),  # "INT8 for high-speed lines"
        ("fastest-without-loss", "tensorrt/fp32/b1"),
    ],
)
def test_the_studys_own_advice_comes_out(advice, rule, key):
    assert advice[rule].candidates[0] == key
    assert "(no interval)" in advice[rule].text


def test_its_fastest_is_as_much_faster_as_it_says(advice):
    assert advice["most-extreme"].figures["tensorrt/int8/dyn:speedup_1x1"] == pytest.approx(2.2)


def test_the_batch_that_one_profile_does_not_take_stays_an_empty_cell(run):
    cells = {row["candidate"]: row["latency_1x2_ms"] for row in run.rows}
    assert [key for key, cell in cells.items() if cell is None] == ["tensorrt/fp32/b1"]


def test_table_csv_gives_back_the_figures_and_what_follows_from_them(run):
    given = {row["label"]: row for row in csv.DictReader(STUDY.splitlines())}
    with (run.path / "table.csv").open(newline="") as file:
        rows = {row["label"]: row for row in csv.DictReader(file)}
    for label, figures in given.items():
        for column, cell in figures.items():
            if column.startswith(("val_", "latency_", "frames_")):
                assert rows[label][column] == (cell and f"{float(cell):.7g}"), (label, column)
    int8 = rows["TensorRT INT8 (dynamic profile)"]
    assert float(int8["speedup_1x1"]) == pytest.approx(2.2)
    assert float(int8["map_delta"]) == pytest.approx(-0.008)
    assert float(int8["two_frames_ms"]) == 7.9
    assert int8["speedup_1x1_low"] == int8["map_delta_low"] == ""


def test_the_report_says_that_there_are_no_intervals_and_that_host_and_model_are_unknown(run):
    text = (run.path / "report.md").read_text()
    assert text.startswith("# bakeoff: study.csv, imported")
    assert "Somebody else's figures" in text
    assert "2.20 (no interval)" in text
    assert "Model, host and images are not known here" in text
    assert "GiB" not in text
    assert "How sure the times are" not in text
    assert (run.path / "report.html").exists()
    assert (run.path / "charts" / "tradeoff.png").exists()


def test_a_second_import_of_its_own_table_is_the_same_run(run):
    again, notes = importing.read(run.path / "table.csv")
    assert not notes
    assert again.reference == run.record.reference
    assert [trial.candidate for trial in again.trials] == [trial.candidate for trial in run.record.trials]
    view = View.make(again, {})
    for line, other in zip(view.lines, run.rows, strict=True):
        for column, cell in row(view, line).items():
            if column == "verdict":  # not judged yet
                continue
            assert cell == (pytest.approx(other[column], rel=1e-6) if isinstance(cell, float) else other[column]), (
                column
            )
