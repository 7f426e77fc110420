"""`bakeoff predict` and `bakeoff.predict`."""

from __future__ import annotations

import json
import shutil
import signal
import time
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

import bakeoff as package
from bakeoff.cli import invoke
from bakeoff.data.images import decode
from bakeoff.errors import InputError, WorkerError
from bakeoff.models.tasks.detection import timed
from bakeoff.pipeline import Pipeline
from bakeoff.records import Candidate, Prediction
from bakeoff.steps.scripts import SAVED
from tests import tiny
from tests.backends.networks import Forms, job, load
from tests.cli.runner import FAST, bakeoff, rows, start
from tests.conftest import write_plugin
from tests.data.test_sources import write_video
from tests.predictor.folders import CRASHING, artifact_folder


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    return artifact_folder(tmp_path_factory.mktemp("made") / "artifact", tiny_model)


@pytest.fixture(scope="module")
def images(tiny_data: Path) -> Path:
    return tiny_data.parent / "images" / "val"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return write_plugin(tmp_path / "site", "crashing", CRASHING, {"crash": "Crashing", "slow": "Slow"})


def lines(out: str) -> list[Prediction]:
    return [msgspec.json.decode(line, type=Prediction) for line in out.splitlines()]


def expected(model: Path, image: Path, folder: Path, confidence: float = 0.25) -> object:
    """Return what the Pipeline finds in an image."""
    from bakeoff.backends.onnxruntime import OnnxRuntime

    made = job("onnxruntime/fp32/dyn", Forms(model, folder), folder)
    session = load(OnnxRuntime(), made, OnnxRuntime().convert(made))
    pipeline = Pipeline(session, made.model.model.imgsz, 1, timed(confidence), time.perf_counter_ns)
    return pipeline.predict([decode(image)])[0][0]


def test_a_folder_of_images_gives_a_line_each_with_the_pipelines_boxes(artifact, images, tiny_model, tmp_path, capfd):
    assert invoke(["predict", str(artifact), str(images), str(images / "3.jpg"), "--conf", "0.4"]) == 0
    out, err = capfd.readouterr()
    found = lines(out)
    assert [one.source for one in found] == [str(images / f"{i}.jpg") for i in (0, 1, 2, 3, 4, 5, 3)]
    theirs = expected(tiny_model, images / "0.jpg", tmp_path, 0.4)
    first = found[0]
    assert (first.frame, first.width, first.height) == (0, tiny.IMGSZ, tiny.IMGSZ)
    assert len(first.scores) == len(theirs) > 0
    np.testing.assert_allclose(first.xyxy, theirs.xyxy, atol=6e-4)
    np.testing.assert_allclose(first.scores, theirs.scores, atol=6e-6)
    assert list(first.classes) == theirs.classes.tolist()
    assert list(first.names) == [tiny.NAMES[i] for i in first.classes]
    assert list(json.loads(out.splitlines()[0])) == [
        "source", "frame", "width", "height", "xyxy", "scores", "classes", "names",
    ]  # fmt: skip
    assert "onnxruntime/fp32/dyn on cpu" in err
    assert "7 frames: " in err
    assert "frames/s in all; medians: prediction" in err
    assert "decoding" in err


def test_in_python_each_frame_of_a_video_comes_as_a_record_and_limit_ends_it(artifact, tmp_path):
    video = write_video(tmp_path / "v.avi", 5)
    found = list(package.predict(artifact, video, limit=3))
    assert [(one.frame, one.width, one.height) for one in found] == [(0, 64, 48), (1, 64, 48), (2, 64, 48)]
    assert all(isinstance(one, Prediction) for one in found)


def test_what_is_drawn_has_a_file_for_each_source_and_replaces_none(artifact, images, tmp_path, capfd):
    video = write_video(tmp_path / "v.avi", 5)
    drawn = tmp_path / "drawn"
    arguments = ["predict", str(artifact), str(images / "1.jpg"), str(video), "--draw", str(drawn)]
    assert invoke(arguments) == 0
    assert sorted(path.name for path in drawn.iterdir()) == ["1.jpg", "v.mp4"]
    assert cv2.imread(str(drawn / "1.jpg")).shape == (tiny.IMGSZ, tiny.IMGSZ, 3)
    capture = cv2.VideoCapture(str(drawn / "v.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 5
    assert capture.get(cv2.CAP_PROP_FPS) == 12.5
    capfd.readouterr()
    assert invoke(arguments) == 2
    assert "is not an empty folder; choose another --draw" in capfd.readouterr().err


@pytest.mark.slow
def test_an_unreadable_image_is_named_the_others_are_predicted_and_the_exit_code_says_it(artifact, images, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    done = bakeoff("predict", artifact, images / "0.jpg", "broken.jpg", images / "1.jpg", cwd=tmp_path)
    assert done.returncode == 2
    assert [one.source for one in lines(done.stdout)] == [str(images / "0.jpg"), str(images / "1.jpg")]
    assert "image broken.jpg cannot be decoded" in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("bakeoff: error: 1 of 3 sources not read, or not to their end; the first: image broken.jpg")
    with pytest.raises(InputError, match=r"broken\.jpg cannot be decoded"):
        list(package.predict(artifact, tmp_path / "broken.jpg"))


@pytest.mark.slow
def test_a_crash_is_one_line_with_what_came_before_it(tiny_model, images, tmp_path, site):
    folder = artifact_folder(
        tmp_path / "artifact", tiny_model, candidate=Candidate(backend="crash", precision="fp32", shape="dyn")
    )
    done = bakeoff("predict", folder, images, cwd=tmp_path, plugins=[site])
    assert done.returncode == 1
    assert len(lines(done.stdout)) == 2
    last = done.stderr.splitlines()[-1]
    assert last == "bakeoff: error: crash/fp32/dyn failed after 2 frames: the child was killed by SIGSEGV"


@pytest.mark.slow
def test_ctrl_c_ends_it_with_130_what_was_predicted_printed_and_the_video_whole(tiny_model, tmp_path, site):
    folder = artifact_folder(
        tmp_path / "artifact", tiny_model, candidate=Candidate(backend="slow", precision="fp32", shape="dyn")
    )
    write_video(tmp_path / "v.avi", 20)
    sources = ["v.avi", *[str(write_video(tmp_path / "long.avi", 25))] * 40]
    process = start("predict", folder, *sources, "--draw", "drawn", cwd=tmp_path, plugins=[site])
    assert process.stdout is not None
    first = [process.stdout.readline() for _ in range(25)]
    process.send_signal(signal.SIGINT)
    rest, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    found = lines("".join(first) + rest)
    assert 25 <= len(found) < 100
    assert f"{len(found)} frames" in err
    assert err.splitlines()[-1] == "bakeoff: interrupted"
    assert "Traceback" not in err
    capture = cv2.VideoCapture(str(tmp_path / "drawn" / "long.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) >= len(found) - 20


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_error_to_tell(artifact, images, tmp_path):
    process = start("predict", artifact, *[images] * 30, cwd=tmp_path)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    assert process.wait(30) == 1
    assert err.splitlines() == ["onnxruntime/fp32/dyn on cpu, computing in fp32"]


def test_a_file_made_elsewhere_is_predicted_with_by_what_it_tells(artifact, images, tiny_model, tmp_path, capfd):
    assert invoke(["predict", str(tiny_model), str(images / "2.jpg")]) == 0
    theirs = lines(capfd.readouterr().out)
    assert invoke(["predict", str(artifact), str(images / "2.jpg")]) == 0
    assert theirs == lines(capfd.readouterr().out)
    assert len(theirs[0].scores) > 0


@pytest.mark.slow
def test_a_file_that_tells_no_classes_or_imgsz_asks_for_them(images, tiny_model, tiny_data, tmp_path, capfd):
    import onnx

    document = onnx.load(str(tiny_model))
    del document.metadata_props[:]
    bare = tmp_path / "bare.onnx"
    onnx.save(document, str(bare))
    one = str(images / "2.jpg")
    for extra, said in (
        ([], f"artifact {bare} does not name its classes; give the dataset's yaml with --data"),
        (["--data", str(tiny_data)], f"artifact {bare} does not say its imgsz; give --imgsz"),
        (["--data", str(tiny_data), "--imgsz", "96"], "try --imgsz 64"),
    ):
        assert invoke(["predict", str(bare), one, *extra]) == 2
        out, err = capfd.readouterr()
        assert out == ""
        assert said in err
        assert len(err.splitlines()) == 1
    assert invoke(["predict", str(bare), one, "--data", str(tiny_data), "--imgsz", "64"]) == 0
    (found,) = lines(capfd.readouterr().out)
    assert set(found.names) <= set(tiny.NAMES)
    assert found.scores


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ARTIFACT", "gone.jpg"], "source gone.jpg does not exist"),
        (["ARTIFACT", "IMAGE", "--conf", "1"], "conf 1 is not between 0 and 1"),
        (["ARTIFACT", "IMAGE", "--limit", "0"], "limit 0 is not positive"),
        (["ARTIFACT", "IMAGE", "--only", "x"], "not a Run: leave --only out"),
        (["ARTIFACT", "IMAGE", "--imgsz", "64"], "tells imgsz and class names itself"),
        (["ARTIFACT", "IMAGE", "--device", "cuda:0"], "asked for device cuda:0, but the Session runs on cpu"),
        (["gone", "IMAGE"], "artifact gone does not exist"),
        (["IMAGE", "IMAGE"], "is of no kind that a backend here takes"),
        (["IMAGES", "IMAGE"], "is neither a Run's folder (results.json) nor an Artifact's"),
        (["ARTIFACT"], "Missing argument 'SOURCE...'"),
    ],
)
def test_bad_input_is_one_line(artifact, images, tmp_path, monkeypatch, capfd, arguments, said):
    monkeypatch.chdir(tmp_path)
    names = {"ARTIFACT": str(artifact), "IMAGE": str(images / "0.jpg"), "IMAGES": str(images)}
    assert invoke(["predict", *(names.get(one, one) for one in arguments)]) in (1, 2)
    out, err = capfd.readouterr()
    assert out == ""
    assert said in err
    assert len(err.splitlines()) == 1


def test_files_other_than_those_that_were_made_are_refused(artifact, images, tmp_path):
    copy = shutil.copytree(artifact, tmp_path / "copy")
    content = bytearray((copy / "dynamic.onnx").read_bytes())
    content[-1] ^= 1
    (copy / "dynamic.onnx").write_bytes(content)
    with pytest.raises(InputError, match="is not the one that was made"):
        next(package.predict(copy, images))


def test_an_artifact_from_before_this_says_so(artifact, images, tmp_path):
    copy = shutil.copytree(artifact, tmp_path / "copy")
    (copy / SAVED).write_text('{"folder": ".", "files": []}')
    with pytest.raises(package.BakeoffError, match="does not tell what predicting needs"):
        next(package.predict(copy, images))


@pytest.mark.slow
def test_a_folder_does_not_decide_that_its_checkpoint_may_run_code(tiny_model, images, tmp_path):
    """`trusted` in a stranger's artifact.json must not unpickle freely."""
    source = """
from bakeoff.testing import FakeBackend
class Telling(FakeBackend):
    name = "telling"
    def load(self, job):
        raise RuntimeError(f"trusted: {job.model.model.trusted}")
"""
    site = write_plugin(tmp_path / "site", "telling", source, {"telling": "Telling"})
    folder = artifact_folder(
        tmp_path / "artifact", tiny_model, candidate=Candidate(backend="telling", precision="fp32", shape="dyn")
    )
    saved = json.loads((folder / SAVED).read_text())
    saved["model"]["trusted"] = True
    (folder / SAVED).write_text(json.dumps(saved))
    done = bakeoff("predict", folder, images, cwd=tmp_path, plugins=[site])
    assert "trusted: False" in done.stderr
    assert "trusted: True" in bakeoff("predict", folder, images, "--trust", cwd=tmp_path, plugins=[site]).stderr


@pytest.mark.slow
def test_a_run_predicts_with_its_winner_and_each_artifact_has_what_stands_beside_it(
    tiny_model, tiny_data, images, tmp_path
):
    """Nothing beside the Artifact counts as its size, and every way to name it finds the same boxes."""
    only = (
        "--only",
        "onnxruntime/fp32/static",
        "--only",
        "openvino/fp32/dyn",
        "--only",
        "onnxruntime/fp32/static/nospin",
    )
    done = bakeoff("run", tiny_model, "--data", tiny_data, "--out", "run", *only, "--threads", 2, *FAST, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    table = rows(tmp_path / "run")
    static = tmp_path / "run" / "artifacts" / "onnxruntime-fp32-static"
    assert sorted(path.name for path in static.iterdir()) == [
        SAVED, "b1.onnx", "predict-nospin.py", "predict.py",
    ]  # fmt: skip
    assert int(table["onnxruntime/fp32/static"]["size_bytes"]) == (static / "b1.onnx").stat().st_size
    shutil.move(tmp_path / "run", tmp_path / "moved")
    image = images / "1.jpg"
    done = bakeoff("predict", "moved", image, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    winner = next((key for key, row in table.items() if row["verdict"] == "recommended"), None)
    assert f"{winner or 'onnxruntime/fp32/dyn'} on cpu" in done.stderr
    assert ("is recommended: predicting with its reference" in done.stderr) == (winner is None)
    (whole,) = lines(done.stdout)
    for path, *extra in (
        ("moved", "--only", "onnxruntime/fp32/static/nospin"),
        ("moved/artifacts/openvino-fp32-dyn",),
        ("moved/artifacts/onnxruntime-fp32-dyn",),
    ):
        (found,) = lines(bakeoff("predict", path, image, *extra, cwd=tmp_path).stdout)
        assert found.classes == whole.classes
        np.testing.assert_allclose(found.xyxy, whole.xyxy, atol=2e-3)
    again = bakeoff("predict", "moved", image, "--only", "onnxruntime/fp32/sttic", cwd=tmp_path)
    assert again.returncode == 2
    assert "did you mean 'onnxruntime/fp32/static'?" in again.stderr


def test_a_runtime_that_cannot_load_is_a_worker_error(tiny_model, images, tmp_path):
    folder = artifact_folder(tmp_path / "artifact", tiny_model, backend="nowhere")
    with pytest.raises((WorkerError, InputError), match="nowhere"):
        next(package.predict(folder, images))


def test_help_shows_no_traceback_and_every_option(capfd):
    assert invoke(["predict", "--help"]) == 0
    out = capfd.readouterr().out
    for option in ("--only", "--conf", "--draw", "--limit", "--device", "--threads", "--imgsz", "--data", "--trust"):
        assert option in out
