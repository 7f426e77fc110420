"""Datasets in every form that `--data` takes, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bakeoff.cli import invoke
from bakeoff.store import RunFolder
from tests import tiny
from tests.cli.runner import bakeoff, rows
from tests.data.coco_files import from_yolo

ONLY = ("--only", "onnxruntime/fp32/b1")
FIGURES = ("images", "val_precision", "val_recall", "val_map50", "val_map50_95", "coco_map50_95", "coco_ar100")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The tiny dataset's yaml; beside it the same as json, its categories in another order and one heading more."""
    yaml = tiny.write_dataset(tmp_path / "data")
    for split in ("val", "train"):
        path = yaml.parent / "annotations" / f"instances_{split}.json"
        from_yolo(yaml, path, split, [(0, "things"), (3, "green"), (8, "red")])
    return yaml


def as_json(yaml: Path) -> Path:
    return yaml.parent / "annotations" / "instances_val.json"


def change(path: Path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def verify(model: Path, data: Path, out: Path, *more: str) -> RunFolder:
    done = bakeoff("verify", model, "--data", data, "--out", out, *ONLY, *more, cwd=out.parent)
    assert done.returncode == 0, done.stderr
    return RunFolder(out)


@pytest.mark.slow
def test_a_json_gives_the_figures_of_the_same_dataset_as_yaml_and_a_crowd_is_no_box(tmp_path, tiny_model, data):
    old = verify(tiny_model, data, tmp_path / "yaml")
    whole = json.loads(as_json(data).read_text())
    crowd = whole["annotations"][0] | {"id": 999, "bbox": [0, 0, 3, 3], "iscrowd": 1}
    change(as_json(data), annotations=[*whole["annotations"], crowd])
    new = verify(tiny_model, as_json(data), tmp_path / "json")
    for key, row in rows(new.path).items():
        assert [row[name] for name in FIGURES] == [rows(old.path)[key][name] for name in FIGURES]
    ours, theirs = new.load().dataset, old.load().dataset
    assert ours is not None
    assert theirs is not None
    assert ours.class_names == theirs.class_names == tiny.NAMES
    assert ours.boxes == theirs.boxes == 18
    assert len(new.samples("truth/")["truth/ignore/image"]) == 1
    assert np.array_equal(new.samples("truth/")["truth/canvas_xyxy"], old.samples("truth/")["truth/canvas_xyxy"])


@pytest.mark.slow
def test_a_folder_of_images_makes_a_run_without_labels(tmp_path, tiny_model, data):
    run = verify(tiny_model, data.parent / "images" / "val", tmp_path / "run", "--no-labels")
    dataset = run.load().dataset
    assert dataset is not None
    assert (dataset.images, dataset.boxes, dataset.background_images) == (6, 0, 0)
    assert dataset.class_names == tiny.NAMES
    assert len(run.samples("truth/")["truth/image"]) == 0


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("images/val", "images/val is a folder: give its data.yaml or its COCO json"),
        ("nowhere.json", "nowhere.json cannot be read: No such file or directory"),
        ("other.json", "class 0 is 'red' in model"),
        ("larger.json", "is 64 x 64 pixels, but dataset"),
        ("crowds.json", "has no labels for its 6 validation images: expected 'annotations' in"),
        ("gone.json", "1 validation images do not exist, the first is"),
    ],
)
def test_a_dataset_that_cannot_be_used_is_refused_in_one_line(tmp_path, tiny_model, data, capfd, given, says):
    whole = json.loads(as_json(data).read_text())
    images, annotations = whole["images"], whole["annotations"]
    for one in images:
        one["file_name"] = f"images/val/{one['file_name']}"
    renamed = [{"id": 3, "name": "verde"}, {"id": 8, "name": "rosso"}]
    for name, changes in {
        "other": {"categories": renamed},
        "larger": {"images": [one | {"width": 640, "height": 640} for one in images]},
        "crowds": {"annotations": [one | {"iscrowd": 1} for one in annotations]},
        "gone": {"images": [*images, images[0] | {"id": 99, "file_name": "images/val/gone.png"}]},
    }.items():
        path = data.with_name(f"{name}.json")
        path.write_text(json.dumps(whole))
        change(path, **changes)
    path = data.parent / given
    code = invoke(["verify", str(tiny_model), "--data", str(path), "--out", str(tmp_path / "run")])
    out, err = capfd.readouterr()
    lines = [line for line in err.splitlines() if not line.startswith(("reading the model", "decoding images"))]
    assert (code, out, len(lines)) == (2, "", 1), err
    assert says in lines[0]
    assert path.name in lines[0] or "gone.png" in lines[0]
