"""Artifacts made elsewhere: named on the command line, judged like ours."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from bakeoff import plan
from bakeoff.api import Run
from bakeoff.cli import invoke
from bakeoff.records import BackendStatus, Candidate
from bakeoff.steps.adopt import name_of
from tests import tiny
from tests.cli.runner import FAST

PLUGIN = '''
import os, shutil
from bakeoff.backend import Adopted
from bakeoff.errors import InputError
from bakeoff.testing import FakeBackend


class Taking(FakeBackend):
    """Takes what another instance of it made; `.crash` takes the process down."""

    name = "taking"
    adopts = "what the fake made (.fake)"

    def takes(self, path):
        return path.suffix in (".fake", ".crash")

    def adopt(self, path, model):
        if path.suffix == ".crash":
            os._exit(7)
        return Adopted(precision="fp32", shape="dyn", files={"fake.json": path}, how={"colour": "blue"})
'''


def adopted(key: str, **fields: object) -> Candidate:
    backend, precision, shape, *options = key.split("/")
    return Candidate(
        backend=backend, precision=precision, shape=shape, options=tuple(options), elsewhere="x.onnx", **fields
    )


def test_a_key_takes_nothing_hostile_from_a_files_name(tmp_path):
    assert name_of(str(tmp_path / "Best Model (2) é.onnx")) == "from-best-model-2-e"
    assert name_of("../../\n\x1b[31m$(rm).engine") == "from-31m-rm"
    assert name_of("Ж.onnx") == "from-file"
    assert len(name_of("x" * 200 + ".onnx")) <= 45
    (tmp_path / "board_openvino_model").mkdir()
    assert name_of(str(tmp_path / "board_openvino_model")) == "from-board"


def test_an_artifact_runs_without_a_pattern_and_skip_takes_it_away():
    ours = [Candidate(backend="onnxruntime", precision="fp32", shape=shape) for shape in ("dyn", "b1")]
    theirs = adopted("openvino/fp32/b1/from-x")
    tuned = adopted("openvino/fp32/b1/from-x", tuning=("t1",), on_request=True)
    everything = [*ours, theirs, tuned]
    assert plan.select(everything, ours[0], ["onnxruntime/fp32/b1"], []) == [*ours, theirs]
    assert plan.select(everything, ours[0], ["*/from-*"], []) == [ours[0], theirs]
    assert plan.select(everything, ours[0], [], ["*/from-*"]) == ours


def test_an_int8_artifact_needs_no_calibration_images_and_no_recipe():
    status = [BackendStatus(name="onnxruntime", title="", cannot_convert="onnx is not installed")]
    for precision in ("int8", "int8+fp32"):
        candidate = adopted(f"onnxruntime/{precision}/b1/from-x")
        (trial,) = plan.trials([candidate], status, [], calibration="no images", judged=False)
        assert trial.skip is None


@pytest.fixture
def refused(tmp_path, monkeypatch, capfd, tiny_model):
    """Plan with an Artifact that must be refused, and return the one line that says why."""
    monkeypatch.chdir(tmp_path)

    def run(path: str) -> str:
        code = invoke(["plan", str(tiny_model), "--artifact", path])
        out, err = capfd.readouterr()
        assert code == 2, err
        assert out == ""
        assert len(err.splitlines()) == 1, err
        return err

    return run


def test_a_missing_artifact_is_named(refused):
    assert "artifact nowhere.onnx does not exist" in refused("nowhere.onnx")


def test_an_empty_artifact_is_named(refused, tmp_path):
    (tmp_path / "empty.engine").touch()
    assert "artifact empty.engine is empty" in refused("empty.engine")


def test_an_artifact_of_an_unknown_kind_names_the_known_ones(refused, tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    line = refused("notes.txt")
    assert "notes.txt is of no kind" in line
    assert ".onnx" in line
    assert ".xml" in line


def test_an_artifact_for_other_classes_is_refused_before_a_run_begins(refused, tmp_path):
    tiny.write_onnx(tmp_path / "other.onnx", names=("green", "red"))
    line = refused("other.onnx")
    assert "class 0 is 'green' in artifact other.onnx but 'red' in the Model" in line


@pytest.mark.slow
def test_a_third_partys_backend_takes_files_of_its_own(plugin, tiny_model, tiny_data, tmp_path, monkeypatch):
    plugin("taking_plugin", PLUGIN, {"taking": "Taking"})
    monkeypatch.chdir(tmp_path)
    content = '{"key": "", "classes": 2, "imgsz": 64}'
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "Mine.fake").write_text(content + " " * len(folder))
    words = ["verify", str(tiny_model), "--data", str(tiny_data), "--only", "taking/fp32/dyn", "--out", "run"]
    assert invoke([*words, "--artifact", "a/Mine.fake", "--artifact", "b/Mine.fake"]) == 0
    run = Run(tmp_path / "run")
    assert [row["candidate"] for row in run.rows][1:] == [
        "taking/fp32/dyn",
        "taking/fp32/dyn/from-mine",
        "taking/fp32/dyn/from-mine-2",
    ]
    own, mine = (run.record.trial(key) for key in ("taking/fp32/dyn", "taking/fp32/dyn/from-mine"))
    assert mine.accuracy == own.accuracy
    assert mine.convert_s is None
    assert mine.artifact.how["made_elsewhere"] == "Mine.fake"
    assert mine.artifact.how["colour"] == "blue"
    (file,) = mine.artifact.files
    assert file.sha256 == hashlib.sha256(Path("a/Mine.fake").read_bytes()).hexdigest()
    assert (run.path / mine.artifact.folder / file.path).read_text() == content + " "


def test_an_artifact_that_takes_its_reader_down_is_refused_in_a_line(plugin, refused, tmp_path):
    plugin("taking_plugin", PLUGIN, {"taking": "Taking"})
    (tmp_path / "bad.crash").write_text("x")
    assert "artifact bad.crash cannot be read: the child ended with exit code 7" in refused("bad.crash")


@pytest.mark.slow
def test_an_onnx_file_and_its_settings_of_loading_are_timed_like_ours(tiny_model, tiny_data, tmp_path):
    path = tiny.write_onnx(tmp_path / "theirs.onnx", batch=1)
    words = ["time", str(tiny_model), "--data", str(tiny_data), "--artifact", str(path), "--out", str(tmp_path / "run")]
    only = ["--only", "*/from-theirs", "--only", "*/from-theirs/nospin"]
    assert invoke([*words, *only, "--threads", "2", *FAST]) == 0
    run = Run(tmp_path / "run")
    mine = "onnxruntime/fp32/b1/from-theirs"
    assert [row["candidate"] for row in run.rows] == ["onnxruntime/fp32/dyn", mine, f"{mine}/nospin"]
    assert all(row["latency_1x1_ms"] for row in run.rows)
    assert "Made elsewhere: `onnxruntime/fp32/b1/from-theirs`" in (run.path / "report.md").read_text()


@pytest.mark.slow
def test_a_run_with_an_artifact_is_resumed_with_the_same_one_alone(tiny_model, tiny_data, tmp_path, capfd):
    path = tiny.write_onnx(tmp_path / "theirs.onnx", batch=1)
    words = ["run", str(tiny_model), "--data", str(tiny_data), "--out", str(tmp_path / "run"), *FAST]
    words += ["--artifact", str(path), "--only", "*/from-theirs"]
    assert invoke(words) == 0
    before = Run(tmp_path / "run").record
    assert invoke([*words, "--resume"]) == 0
    after = Run(tmp_path / "run").record
    assert [(one.candidate.key, one.status, one.artifact) for one in after.trials] == [
        (one.candidate.key, one.status, one.artifact) for one in before.trials
    ]
    other = path.rename(tmp_path / "other.onnx")
    assert invoke([*words, "--resume"]) == 0, "the Run has a copy of its own"
    capfd.readouterr()
    assert invoke([str(other) if word == str(path) else word for word in (*words, "--resume")]) == 2
    assert "resume with the same options" in capfd.readouterr().err
