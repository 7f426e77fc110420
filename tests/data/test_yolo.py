from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from bakeoff.data import yolo
from bakeoff.errors import InputError

NAMES = ("a", "b", "c")


def image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((4, 4, 3), np.uint8))
    return path


def labelled(tmp_path: Path, text: str) -> Path:
    path = image(tmp_path / "images" / "one.png")
    (tmp_path / "labels").mkdir(exist_ok=True)
    (tmp_path / "labels" / "one.txt").write_text(text)
    return path


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "data.yaml"
    path.write_text(text)
    return path


def test_folders_are_relative_to_the_yaml_file_whatever_the_working_folder(tmp_path, monkeypatch):
    image(tmp_path / "set" / "images" / "val" / "b.png")
    image(tmp_path / "set" / "images" / "val" / "deep" / "a.png")
    image(tmp_path / "set" / "images" / "train" / "t.png")
    path = write(tmp_path, "path: set\ntrain: images/train\nval: images/val\nnames: {0: x, 1: y}\n")
    monkeypatch.chdir("/")
    dataset = yolo.read_dataset(path)
    assert [p.name for p in dataset.validation] == ["b.png", "a.png"]
    assert [p.name for p in dataset.training] == ["t.png"]
    assert dataset.class_names == ("x", "y")


def test_a_split_may_be_a_text_list_or_several_folders(tmp_path):
    image(tmp_path / "a" / "1.png")
    image(tmp_path / "b" / "2.png")
    (tmp_path / "val.txt").write_text("./a/1.png\n\nb/2.png\n")
    assert len(yolo.read_dataset(write(tmp_path, "val: val.txt\nnames: [x]\n")).validation) == 2
    assert len(yolo.read_dataset(write(tmp_path, "val: [a, b]\nnames: [x]\n")).validation) == 2


def test_one_folder_too_many_upwards_is_forgiven_as_ultralytics_does(tmp_path):
    image(tmp_path / "set" / "valid" / "images" / "1.png")
    path = tmp_path / "set" / "data.yaml"
    path.write_text("val: ../valid/images\nnames: [x]\n")
    assert len(yolo.read_dataset(path).validation) == 1


def test_a_path_relative_to_the_working_folder_is_found_too(tmp_path, monkeypatch):
    image(tmp_path / "elsewhere" / "images" / "1.png")
    (tmp_path / "yamls").mkdir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "yamls" / "d.yaml").write_text("path: elsewhere\nval: images\nnames: [x]\n")
    assert len(yolo.read_dataset(tmp_path / "yamls" / "d.yaml").validation) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("val: nowhere\nnames: [x]\n", "no folder, image or list"),
        ("names: [x]\n", "names no validation images"),
        ("val: .\nnames: {1: x}\n", "number them from 0"),
        ("val: .\n", "'names' must list"),
        ("[1, 2]\n", "is not a dataset yaml"),
        ("a: [\n", "is not a yaml file"),
        ("path: gone\nval: .\nnames: [x]\n", "is no folder"),
    ],
)
def test_a_bad_yaml_is_named_with_what_is_wrong(tmp_path, text, says):
    with pytest.raises(InputError, match=says) as caught:
        yolo.read_dataset(write(tmp_path, text))
    assert "data.yaml" in str(caught.value)


def test_labels_lie_beside_the_last_images_folder():
    assert yolo.label_path(Path("/images/x/images/val/1.jpg")) == Path("/images/x/labels/val/1.txt")
    assert yolo.label_path(Path("flat/1.jpg")) == Path("flat/1.txt")


def test_boxes_are_read_with_duplicates_dropped_and_counted(tmp_path):
    labels = yolo.read_labels(labelled(tmp_path, "1 .5 .5 .2 .2\n\n1 .5 .5 .2 .2\n2 .1 .1 .1 .1\n"), NAMES)
    assert labels.classes.tolist() == [1, 2]
    assert labels.duplicates == 1
    assert labels.xywhn[0].tolist() == pytest.approx([0.5, 0.5, 0.2, 0.2])


def test_a_polygon_becomes_its_box(tmp_path):
    labels = yolo.read_labels(labelled(tmp_path, "0 .1 .2 .5 .2 .5 .6 .1 .6\n"), NAMES)
    assert labels.xywhn[0].tolist() == pytest.approx([0.3, 0.4, 0.4, 0.4])


def test_an_image_without_labels_is_background(tmp_path):
    assert len(yolo.read_labels(image(tmp_path / "images" / "one.png"), NAMES).classes) == 0
    assert len(yolo.read_labels(labelled(tmp_path, "\n"), NAMES).classes) == 0


@pytest.mark.parametrize(
    "line", ["1 .5 .5 .2", "x .5 .5 .2 .2", "3 .5 .5 .2 .2", "-1 .5 .5 .2 .2", "1.5 .5 .5 .2 .2", "1 5 5 2 2",
             "1 nan .5 .2 .2", "1 .5 .5 -.005 .2", "1 .5 .5 .2 .2 .3"],
)  # fmt: skip
def test_a_broken_line_is_named_by_file_and_number(tmp_path, line):
    with pytest.raises(InputError, match=r"one\.txt, line 2: "):
        yolo.read_labels(labelled(tmp_path, f"0 .5 .5 .1 .1\n{line}\n"), NAMES)
