from __future__ import annotations

import pytest

from bakeoff.store import RunFolder
from tests import tiny
from tests.cli.runner import FAST, bakeoff, rows

REFERENCE, OTHER = "onnxruntime/fp32/dyn", "onnxruntime/fp32/static"


@pytest.fixture(scope="module")
def finished(tiny_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unlabelled")
    images = tiny.write_dataset(folder / "data", validation=12).parent / "images" / "val"
    arguments = ("run", tiny_model, "--data", images, "--no-labels", "--out", "run", "--only", OTHER, *FAST)
    return folder / "run", bakeoff(*arguments, cwd=folder)


@pytest.mark.slow
def test_a_folder_of_images_alone_makes_a_run(finished):
    folder, done = finished
    assert done.returncode == 0, done.stderr
    table = rows(folder)
    assert list(table) == [REFERENCE, OTHER]
    assert {row["status"] for row in table.values()} == {"ok"}
    assert {row["val_map50_95"] for row in table.values()} == {""}
    assert float(table[OTHER]["matched_share"]) == 1
    assert float(table[OTHER]["latency_1x1_ms"]) > 0


@pytest.mark.slow
def test_without_labels_nothing_is_accepted_or_recommended_and_the_answer_says_why(finished):
    folder, done = finished
    table = rows(folder)
    assert (table[REFERENCE]["verdict"], table[OTHER]["verdict"]) == ("reference", "undecided")
    assert "without labels a loss of accuracy cannot be told" in done.stdout


@pytest.mark.slow
def test_the_report_tells_agreement_and_no_accuracy(finished):
    report = (finished[0] / "report.md").read_text()
    assert "## Agreement with the reference" in report
    assert "## At one threshold" not in report
    assert RunFolder(finished[0]).load().trial(OTHER).agreement.confidence == 0.25


def test_a_folder_of_images_without_no_labels_is_refused_with_the_cure(tiny_model, tmp_path):
    images = tiny.write_dataset(tmp_path / "data").parent / "images" / "val"
    done = bakeoff("run", tiny_model, "--data", images, "--out", "run", cwd=tmp_path)
    assert done.returncode == 2
    assert "--no-labels" in done.stderr


@pytest.mark.parametrize("line", ["no-labels = true", "labels = false", "no_labels = true"])
def test_no_labels_can_stand_in_the_toml_file(line, tiny_model, tiny_data, tmp_path):
    (tmp_path / "bakeoff.toml").write_text(f"{line}\nmax-recall-drop = 0.1\n")
    done = bakeoff("run", tiny_model, "--data", tiny_data, "--config", "bakeoff.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "max-recall-drop needs labels" in done.stderr


def test_a_recall_margin_without_labels_is_refused(tiny_model, tiny_data, tmp_path):
    options = ("--data", tiny_data, "--no-labels", "--max-recall-drop", "0.1")
    done = bakeoff("run", tiny_model, *options, cwd=tmp_path)
    assert done.returncode == 2
    assert "max-recall-drop needs labels" in done.stderr
