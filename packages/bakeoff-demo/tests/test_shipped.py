"""The shipped files: counts, labels, sizes, and that they come from the generator."""

import hashlib
import io
import json
import pickletools
import zipfile
from pathlib import Path

import bakeoff_demo
import cv2
import pytest
from boardgen import CLASSES, SIZES
from generate import SEED, SPLITS, make, paths

PACKAGE = Path(__file__).resolve().parent.parent
DATA = bakeoff_demo.data_path().parent
SHIPPED = ("calibration", "val")


def test_paths_exist():
    assert bakeoff_demo.data_path().is_file()
    assert bakeoff_demo.model_path().is_file()
    assert bakeoff_demo.model_path().parent == bakeoff_demo.folder()


def test_data_yaml_names_the_generators_classes():
    text = bakeoff_demo.data_path().read_text(encoding="utf-8")
    assert all(f"\n  {index}: {name}\n" in text for index, name in enumerate(CLASSES))
    for line in text.splitlines():
        if line.startswith(("train:", "val:")):
            assert (DATA / line.split(": ")[1]).is_dir()


@pytest.mark.parametrize("split", SHIPPED)
def test_a_split_has_its_images_and_valid_labels(split):
    images = sorted((DATA / "images" / split).iterdir())
    labels = sorted((DATA / "labels" / split).iterdir())
    assert len(images) == SPLITS[split]
    assert [file.stem for file in images] == [file.stem for file in labels]
    for image, label in zip(images, labels, strict=True):
        height, width = cv2.imread(str(image)).shape[:2]
        assert (width, height) in SIZES
        rows = [line.split() for line in label.read_text(encoding="utf-8").splitlines()]
        assert 2 <= len(rows) <= 12
        for kind, *box in rows:
            assert 0 <= int(kind) < len(CLASSES)
            x, y, w, h = (float(value) for value in box)
            assert x - w / 2 > -1e-6
            assert y - h / 2 > -1e-6
            assert x + w / 2 < 1 + 1e-6
            assert y + h / 2 < 1 + 1e-6
            assert w * width > 7.99
            assert h * height > 7.99


def test_no_image_is_in_two_splits():
    seen = [
        hashlib.sha256(file.read_bytes()).digest() for split in SHIPPED for file in (DATA / "images" / split).iterdir()
    ]
    assert len(set(seen)) == len(seen) == 192
    assert not {hashlib.sha256(make("train", SEED, index)[0]).digest() for index in range(4)} & set(seen)


def test_the_images_take_at_most_8_megabytes():
    assert sum(file.stat().st_size for file in (DATA / "images").rglob("*.jpg")) <= 8_000_000


@pytest.mark.parametrize("split", SHIPPED)
def test_the_shipped_labels_are_the_generators(split):
    image, label = paths(DATA, split, 5)
    data, text = make(split, SEED, 5)
    assert label.read_text(encoding="utf-8") == text
    if cv2.__version__ == "5.0.0":  # other versions may draw text or encode differently
        assert image.read_bytes() == data


def test_the_weights_need_only_torch_and_ultralytics_and_name_no_machine():
    with zipfile.ZipFile(bakeoff_demo.model_path()) as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        pickled = archive.read(name)
    modules = {str(argument).split(" ")[0] for code, argument, _ in pickletools.genops(io.BytesIO(pickled))
               if code.name == "GLOBAL"}  # fmt: skip
    assert modules
    assert {module.split(".")[0] for module in modules} <= {"torch", "ultralytics", "collections", "__builtin__"}
    assert not any(part in pickled for part in (b"/root", b"/home", b"/tmp", b"/work"))


def test_the_figures_lie_where_conversions_show():
    figures = json.loads((PACKAGE / "figures.json").read_text(encoding="utf-8"))
    assert 0.45 <= figures["overall"]["map50_95"] <= 0.80
    assert set(figures["classes"]) == set(CLASSES)
