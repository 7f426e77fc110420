"""Contract 5: what is bad about the input is said in one line that names the thing and the cure; exit code 2."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bakeoff.cli import invoke
from tests import tiny
from tests.cli.runner import bakeoff
from tests.shared import MODEL, needs_shared

Refused = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Refused:
    """Run a command that must be refused, and return the one line that says why."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> str:
        code = invoke([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        lines = [line for line in err.splitlines() if not line.startswith(("reading the model", "decoding images"))]
        assert code == 2, err
        assert out == ""
        assert len(lines) == 1, err
        assert lines[0].startswith("bakeoff: error: ")
        assert lines[0].isprintable()
        return lines[0]

    return run


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A dataset to break."""
    return tiny.write_dataset(tmp_path / "data")


# --- the model


def test_a_missing_model_is_named(refused, tiny_data):
    assert "model nowhere.pt does not exist" in refused("run", "nowhere.pt", "--data", tiny_data)


def test_an_empty_model_is_named(refused, tiny_data, tmp_path):
    (tmp_path / "empty.onnx").touch()
    assert "model empty.onnx is empty" in refused("run", "empty.onnx", "--data", tiny_data)


def test_a_folder_as_model_is_named(refused, tiny_data, tmp_path):
    (tmp_path / "folder.pt").mkdir()
    assert "model folder.pt is not a file" in refused("run", "folder.pt", "--data", tiny_data)


def test_a_file_of_another_kind_as_model_says_which_kinds_there_are(refused, tiny_data, tmp_path):
    (tmp_path / "notes.txt").write_text("no model")
    line = refused("run", "notes.txt", "--data", tiny_data)
    assert "notes.txt" in line
    assert ".pt" in line
    assert ".onnx" in line


@pytest.mark.slow
def test_a_text_file_as_checkpoint_is_refused(refused, tiny_data, tmp_path):
    (tmp_path / "text.pt").write_text("this is no checkpoint\n" * 50)
    assert "text.pt is damaged or no checkpoint" in refused("run", "text.pt", "--data", tiny_data)


@pytest.mark.slow
@needs_shared
def test_a_truncated_checkpoint_is_refused(refused, tiny_data, tmp_path):
    whole = MODEL.read_bytes()
    (tmp_path / "short.pt").write_bytes(whole[: len(whole) // 2])
    assert "short.pt is damaged or no checkpoint" in refused("run", "short.pt", "--data", tiny_data)


class _Payload:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("form", ["plain pickle", "zip"])
def test_a_pickle_that_asks_for_unlisted_names_is_refused_and_not_run(refused, tiny_data, tmp_path, form):
    proof = tmp_path / "proof"
    content = pickle.dumps({"model": _Payload(f"touch {proof}")}, protocol=2)
    if form == "zip":
        with zipfile.ZipFile(tmp_path / "evil.pt", "w") as archive:
            archive.writestr("evil/data.pkl", content)
            archive.writestr("evil/version", "3\n")
            archive.writestr("evil/byteorder", "little")
    else:
        (tmp_path / "evil.pt").write_bytes(content)
    line = refused("run", "evil.pt", "--data", tiny_data)
    assert "evil.pt" in line
    assert not proof.exists()
    if form == "zip":
        assert "system" in line
        assert "--trust" in line


def test_a_truncated_onnx_file_is_refused(refused, tiny_data, tiny_model, tmp_path):
    whole = tiny_model.read_bytes()
    (tmp_path / "short.onnx").write_bytes(whole[: len(whole) // 2])
    assert "short.onnx is damaged or no ONNX file" in refused("run", "short.onnx", "--data", tiny_data)


def test_an_imgsz_that_is_no_multiple_of_the_stride_names_the_nearest(refused, tiny_data, tmp_path):
    import onnx

    free = onnx.load(str(tiny.write_onnx(tmp_path / "free.onnx")))
    for dim in free.graph.input[0].type.tensor_type.shape.dim[2:]:
        dim.dim_param = "side"
    onnx.save(free, str(tmp_path / "free.onnx"))
    line = refused("run", "free.onnx", "--data", tiny_data, "--imgsz", 100)
    assert "100" in line
    assert "stride 32" in line
    assert "--imgsz 96" in line


def test_an_imgsz_that_an_onnx_file_cannot_take_names_both(refused, tiny_data, tiny_model):
    line = refused("run", tiny_model, "--data", tiny_data, "--imgsz", 96)
    assert "takes imgsz 64 only" in line
    assert "96" in line


# --- options


def test_an_unknown_candidate_names_the_nearest(refused, tiny_data, tiny_model):
    line = refused("run", tiny_model, "--data", tiny_data, "--only", "openvno/fp32/dyn")
    assert "'openvno/fp32/dyn'" in line
    assert "did you mean 'openvino/fp32/dyn'?" in line
    assert "bakeoff plan" in line


def test_an_unknown_candidate_to_convert_names_the_nearest(refused, tiny_data, tiny_model):
    line = refused("convert", tiny_model, "--to", "onnxruntime/fp32/dny")
    assert "did you mean 'onnxruntime/fp32/dyn'?" in line


@pytest.mark.parametrize("workload", ["2", "0x1", "1x0", "ax1", "1x2x3", "65x1", ""])
def test_a_bad_workload_is_named_with_an_example(refused, tiny_data, tiny_model, workload):
    line = refused("run", tiny_model, "--data", tiny_data, "--workload", workload)
    assert repr(workload) in line
    assert "1x2" in line


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--frames", "0"),
        ("--images", "0"),
        ("--imgsz", "-64"),
        ("--threads", "-1"),
        ("--threads", "0"),
        ("--calibration-images", "0"),
        ("--step-timeout", "-1"),
        ("--step-timeout", "nan"),
        ("--seed", "-1"),
        ("--conf", "1"),
        ("--conf", "nan"),
        ("--percentile", "100"),
        ("--max-map-drop", "-0.1"),
        ("--max-map-drop", "nan"),
        ("--latency-budget", "0"),
        ("--device", "cuda:0"),
        ("--prefer", "beauty"),
        ("--frames", "many"),
    ],
)
def test_a_value_that_no_run_can_have_is_named(refused, tiny_data, tiny_model, option, value):
    line = refused("run", tiny_model, "--data", tiny_data, option, value)
    assert option.removeprefix("--").replace("-", "") in line.replace("-", "").replace("_", "")


def test_an_unknown_option_in_the_config_names_the_nearest(refused, tiny_data, tiny_model, tmp_path):
    (tmp_path / "bakeoff.toml").write_text("frmaes = 3\n")
    line = refused("run", tiny_model, "--data", tiny_data, "--config", "bakeoff.toml")
    assert "bakeoff.toml" in line
    assert "'frmaes'" in line
    assert "did you mean 'frames'?" in line


@pytest.mark.parametrize("content", [b"frames = = 3", b"\xff\xfe", None])
def test_a_broken_config_is_named(refused, tiny_data, tiny_model, tmp_path, content):
    if content is not None:
        (tmp_path / "bakeoff.toml").write_bytes(content)
    assert "config bakeoff.toml" in refused("run", tiny_model, "--data", tiny_data, "--config", "bakeoff.toml")


def test_an_unknown_command_is_one_line(refused):
    assert "rnu" in refused("rnu")


# --- the dataset


def test_no_dataset_says_how_to_give_one(refused, tiny_model):
    assert "--data" in refused("run", tiny_model)


def test_a_missing_dataset_is_named(refused, tiny_model):
    assert "dataset nowhere.yaml cannot be read" in refused("run", tiny_model, "--data", "nowhere.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("names: [red, green\nval: x", "is not a yaml file"),
        ("just words", "needs 'names' and 'val'"),
        ("names: [red, green]\ntrain: images/train", "add 'val: FOLDER'"),
        ("names: [red, green]\nval: images/other", "images/other"),
        ("path: elsewhere\nnames: [red, green]\nval: images/val", "elsewhere, is no folder"),
        ("names: [red, green]\nval: labels/val", "no images under 'val: labels/val'"),
        ("val: images/val", "'names' must list the classes"),
        ("names: {0: red, 2: green}\nval: images/val", "without a gap"),
        ("names: [red, green]\nval: list.txt", "images/val/gone.jpg"),
        ("names: [red, green]\nval: binary.txt", "binary.txt"),
        ("names: [red, green]\nval: 2026-99-99", "is not a yaml file"),
    ],
)
def test_a_broken_dataset_file_is_named_with_what_is_wrong(refused, tiny_model, data, text, said):
    data.write_text(text)
    (data.parent / "list.txt").write_text("images/val/gone.jpg\n")
    (data.parent / "binary.txt").write_bytes(b"\xff\xfe\x00images")
    line = refused("run", tiny_model, "--data", data)
    assert said in line


def test_a_dataset_without_labels_says_where_they_were_expected(refused, tiny_model, data):
    shutil.rmtree(data.parent / "labels" / "val")
    line = refused("run", tiny_model, "--data", data)
    assert "has no labels for its 6 validation images" in line
    assert "labels/val/0.txt" in line


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("0 0.5 0.5 0.2", "is not 'class x y width height'"),
        ("red 0.5 0.5 0.2 0.2", "is not 'class x y width height'"),
        ("0 0.5 nan 0.2 0.2", "is not 'class x y width height'"),
        ("2 0.5 0.5 0.2 0.2", "class 2 is not one of the dataset's 2 classes"),
        ("0.5 0.5 0.5 0.2 0.2", "class 0.5 is not one of"),
        ("-1 0.5 0.5 0.2 0.2", "class -1 is not one of"),
        ("0 30 30 16 16", "is not normalised to 0..1"),
        ("0 0.5 0.5 -0.2 0.2", "0..1"),
    ],
)
def test_a_broken_label_line_is_named_by_file_and_line(refused, tiny_model, data, broken, said):
    path = data.parent / "labels" / "val" / "3.txt"
    path.write_text(path.read_text() + broken + "\n")
    line = refused("run", tiny_model, "--data", data)
    assert "labels/val/3.txt, line 4: " in line
    assert said in line


def test_a_class_count_that_differs_from_the_models_names_both(refused, tiny_model, data):
    tiny.write_yaml(data.parent, names=("red", "green", "blue"))
    line = refused("run", tiny_model, "--data", data)
    assert "has 2 classes (red, green)" in line
    assert "has 3 (red, green, blue)" in line


def test_class_names_that_differ_from_the_models_name_both(refused, tiny_model, data):
    tiny.write_yaml(data.parent, names=("green", "red"))
    line = refused("run", tiny_model, "--data", data)
    assert "class 0 is 'red' in model" in line
    assert "'green' in dataset" in line


@pytest.mark.parametrize("content", [b"", b"no image", "half"])
def test_an_unreadable_image_is_named_and_not_skipped(refused, tiny_model, data, content):
    image = data.parent / "images" / "val" / "2.jpg"
    image.write_bytes(image.read_bytes()[:100] if content == "half" else content)
    line = refused("run", tiny_model, "--data", data)
    assert "images/val/2.jpg cannot be decoded" in line


def test_several_unreadable_images_are_counted(refused, tiny_model, data):
    for number in (1, 4):
        (data.parent / "images" / "val" / f"{number}.jpg").write_bytes(b"")
    line = refused("run", tiny_model, "--data", data)
    assert "2" in line
    assert "1.jpg" in line
    assert "4.jpg" in line


def test_calibration_images_that_are_validation_images_are_named(refused, tiny_model, data, tmp_path):
    (tmp_path / "calibration").mkdir()
    shutil.copy(data.parent / "images" / "val" / "5.jpg", tmp_path / "calibration" / "another-name.jpg")
    shutil.copy(data.parent / "images" / "train" / "1.jpg", tmp_path / "calibration")
    only = ("--only", "openvino/int8/*")
    line = refused("run", tiny_model, "--data", data, "--calibration", "calibration", *only)
    assert "1 calibration images are validation images too" in line
    assert "another-name.jpg" in line
    assert "val/5.jpg" in line
    assert "--calibration" in line


@pytest.mark.parametrize("make", [True, False])
def test_a_calibration_folder_without_images_is_named(refused, tiny_model, tiny_data, tmp_path, make):
    if make:
        (tmp_path / "nothing").mkdir()
    line = refused("run", tiny_model, "--data", tiny_data, "--calibration", "nothing")
    assert "--calibration nothing" in line


# --- the folder of the Run


def test_a_folder_that_is_not_empty_is_left_alone(refused, tiny_model, tiny_data, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    line = refused("run", tiny_model, "--data", tiny_data, "--out", "out")
    assert "out is not empty" in line
    assert "--out" in line
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_a_file_in_the_folders_place_is_named(refused, tiny_model, tiny_data, tmp_path):
    (tmp_path / "out").write_text("a file")
    assert "folder out cannot be made" in refused("run", tiny_model, "--data", tiny_data, "--out", "out")
    assert "cannot be made" in refused("run", tiny_model, "--data", tiny_data, "--out", "out/below")


def test_a_read_only_place_is_named(refused, tiny_model, tiny_data):
    place = Path("/sys/bakeoff-test")  # root may write in any folder but one of the kernel's
    assert "/sys/bakeoff-test cannot be made" in refused("run", tiny_model, "--data", tiny_data, "--out", place)


def test_a_folder_in_use_names_the_process(refused, tiny_model, tiny_data, tmp_path):
    from bakeoff.store import RunFolder

    with RunFolder.create(tmp_path / "out"):
        (tmp_path / "out" / "results.json").write_text("{}")
        line = refused("run", tiny_model, "--data", tiny_data, "--out", "out", "--resume")
    assert f"in use by process {os.getpid()}" in line


def test_resume_without_a_run_says_so(refused, tiny_model, tiny_data):
    assert "no Run to resume" in refused("run", tiny_model, "--data", tiny_data, "--out", "nowhere", "--resume")
    assert "--out" in refused("run", tiny_model, "--data", tiny_data, "--resume")


def test_results_of_a_newer_version_say_which(refused, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.json").write_text(json.dumps({"format": "bakeoff-run", "version": 99}))
    line = refused("report", "out")
    assert "format 99" in line
    assert "upgrade bakeoff" in line


def test_after_bad_input_the_same_folder_can_be_used(refused, tiny_model, data):
    """A mistyped name must not cost the user the folder: the second try would meet "is not empty"."""
    for _ in range(2):
        assert "does not exist" in refused("run", "nowhere.pt", "--data", data, "--out", "out")
        assert "cannot be read" in refused("run", tiny_model, "--data", "nowhere.yaml", "--out", "out")


def test_a_full_disk_is_one_line_and_no_traceback(tiny_model, tiny_data, tmp_path):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))"
    done = bakeoff("run", tiny_model, "--data", tiny_data, "--out", "out", cwd=tmp_path, code=limit)
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("bakeoff: error: ")]
    assert len(lines) == 1
    assert "File too large" in lines[0]
    assert "--out" in lines[0]
    assert "Traceback" not in done.stderr
