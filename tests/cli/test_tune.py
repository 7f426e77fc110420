"""`bakeoff tune` from the command line: what it recommends, what it says of a second camera, what it refuses."""

from __future__ import annotations

import csv
import signal
from pathlib import Path

import pytest

import bakeoff
from bakeoff.backends import ir
from bakeoff.store import RunFolder
from tests.cli import shaped
from tests.cli.runner import bakeoff as command
from tests.cli.runner import start, wait_for
from tests.conftest import write_plugin

pytestmark = pytest.mark.slow  # minutes of children, each loading a runtime

SHORT = ("--frames", "60", "--precision-target", "25%", "--time-budget", "2m", "--threads", 1)
QUICK = ("--quick", "--frames", "16", "--threads", 1)
DYN, STATIC, B1 = (f"shaped/fp32/{shape}" for shape in ("dyn", "static", "b1"))


class Plugged:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.site = write_plugin(folder / "site", "shaped", Path(shaped.__file__).read_text(), {"shaped": "Shaped"})

    def tune(self, model, data, *more):
        arguments = ("tune", model, "--data", data, "--out", "run", "--only", "shaped/*", *SHORT, *more)
        return command(*arguments, cwd=self.folder, plugins=[self.site])

    @property
    def run(self):
        return bakeoff.Run(self.folder / "run")

    @property
    def trace(self) -> list[str]:
        return (self.folder / "trace").read_text().splitlines()


@pytest.fixture
def plugged(tmp_path, monkeypatch):
    monkeypatch.setenv("BAKEOFF_TEST_SHAPED", str(tmp_path))
    monkeypatch.setenv("BAKEOFF_TEST_WAY", "batch")
    return Plugged(tmp_path)


def rows(folder):
    with (folder / "tune.csv").open(newline="") as file:
        return {(row["candidate"], row["workload"]): row for row in csv.DictReader(file)}


@pytest.mark.slow
def test_a_tune_recommends_what_is_faster_and_serves_a_second_camera_with_a_batch(plugged, tiny_model, tiny_data):
    done = plugged.tune(tiny_model, tiny_data)
    assert done.returncode == 0, done.stderr
    table = rows(plugged.folder / "run")
    assert table[DYN, "1x2"]["standing"] == "recommended"
    assert table[STATIC, "1x2"]["standing"] == "slower"
    assert table[DYN, "1x1"]["standing"] == "slower"
    assert (B1, "1x2") not in table
    (fastest,) = (who for who, row in table.items() if who[1] == "1x1" and row["standing"] == "recommended")
    assert fastest[0] == f"{B1}/fast"  # the setting was screened on the shape that is the fastest there, and added
    assert float(table[B1, "1x1"]["gain_low"]) > 1.3
    assert all(row["plain"] == DYN for row in table.values())
    assert not any("slow" in key for key, _ in table)  # screened, and no faster
    assert float(table[B1, "1x1"]["size_bytes"]) > 0
    assert float(table[B1, "1x1"]["peak_timed_bytes"]) > 1e6
    assert plugged.run.record.trial(B1).parity.images == 6
    (study,) = (text for text in plugged.run.tuned if "against the batch-1 form" in text)
    assert study.startswith(f"A second camera, against the batch-1 form of {DYN}: serve with batches of two on {DYN} (")
    assert study in done.stdout
    report = (plugged.folder / "run" / "report.md").read_text()
    assert "## Which shape for which Workload" in report
    assert f"`{B1}/fast`" in report.split("Added, and timed afresh with the shapes:")[1].split("\n")[0]
    assert "shapes shaped/fp32/dyn [1, 2]" in plugged.trace
    assert len([line for line in plugged.trace if line.startswith("convert shaped")]) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "said"), [("batch", "serve with batches of two"), ("streams", "serve with two streams")]
)
def test_the_second_camera_is_answered_either_way(plugged, tiny_model, tiny_data, monkeypatch, way, said):
    monkeypatch.setenv("BAKEOFF_TEST_WAY", way)
    done = plugged.tune(tiny_model, tiny_data, "--skip", "*/fast", "--skip", "*/slow", "--skip", "*/static")
    assert done.returncode == 0, done.stderr
    (overall, study) = (text for text in plugged.run.tuned if text.startswith("A second camera"))
    assert said in study
    assert said in overall


@pytest.mark.slow
def test_a_shape_that_computes_something_else_fails_and_is_not_recommended(plugged, tiny_model, tiny_data):
    (plugged.folder / "wrong").touch()
    done = plugged.tune(tiny_model, tiny_data, "--quick", "--workload", "1x1")
    assert done.returncode == 0, done.stderr
    failure = plugged.run.record.trial(STATIC).failure
    assert failure.kind == "output"
    assert "this shape computes something else" in failure.cause
    assert not any(key == STATIC for key, _ in rows(plugged.folder / "run"))


@pytest.mark.slow
def test_a_tune_that_was_interrupted_goes_on_with_what_is_not_screened(plugged, tiny_model, tiny_data):
    quick = ("--quick", "--workload", "1x1", "--workload", "1x2")
    (plugged.folder / "stop-at").write_text(f"{B1}/fast")
    arguments = ("tune", tiny_model, "--data", tiny_data, "--out", "run", "--only", "shaped/*", *SHORT, *quick)
    process = start(*arguments, cwd=plugged.folder, plugins=[plugged.site])
    wait_for(plugged.folder / "reached", process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    before = RunFolder(plugged.folder / "run").load()
    assert before.shapes[0].screened is not None
    assert not before.shapes[0].settled
    loads = plugged.trace.count(f"load {STATIC}")

    (plugged.folder / "stop-at").unlink()
    done = plugged.tune(tiny_model, tiny_data, *quick, "--resume")
    assert done.returncode == 0, done.stderr
    after = RunFolder(plugged.folder / "run").load()
    assert after.shapes[0].screened == before.shapes[0].screened
    assert after.shapes[0].settled
    assert f"{B1}/fast" in {trial.candidate.key for trial in after.trials}
    assert plugged.trace.count(f"load {STATIC}") == loads + 3  # three generations of the timing, nothing twice


@pytest.mark.slow
def test_a_real_runtime_is_tuned_and_its_shapes_compute_the_same(tiny_model, tiny_data, tmp_path):
    pytest.importorskip("openvino")
    config = tmp_path / "tune.toml"
    config.write_text('workload = ["1x1", "1x2"]\nskip = "openvino/fp32/*/*"\n')
    arguments = ("tune", tiny_model, "--data", tiny_data, "--out", "run", "--only", "openvino/fp32/dyn")
    done = command(*arguments, *QUICK, "--config", config, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = bakeoff.Run(tmp_path / "run")
    tuned = {key for key, _ in rows(run.path)}
    assert tuned == {f"openvino/fp32/{shape}" for shape in ("dyn", "static", "b1")}
    for key in tuned:
        groups = run.record.trial(key).parity.reference
        assert all(group.max_error < 1e-3 for group in groups)
    assert run.record.trial("openvino/fp32/static").artifact.batches == (1, 2)
    assert "Recommended for" in done.stdout


def test_plan_shows_the_other_shapes_on_request_and_convert_makes_them(tiny_model, tmp_path):
    pytest.importorskip("openvino")
    shown = command("plan", tiny_model, cwd=tmp_path).stdout.splitlines()
    (line,) = (line for line in shown if line.startswith("openvino/fp32/static\t"))
    assert "on request" in line
    done = command("convert", tiny_model, "--to", "openvino/fp32/static", "--out", "files", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "files" / ir.FOLDER / "model.xml").exists()


def test_an_unknown_candidate_to_tune_is_bad_usage(tiny_model, tiny_data, tmp_path):
    arguments = ("tune", tiny_model, "--data", tiny_data, "--out", "run", "--only", "openvino/fp33/dyn")
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "no Candidate matches 'openvino/fp33/dyn'" in done.stderr
    assert not (tmp_path / "run").exists()
