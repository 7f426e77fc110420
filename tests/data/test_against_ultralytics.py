"""Odd images and labels, as Ultralytics' own loader and validator take them in."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from bakeoff.accuracy.boxes import GroundTruth
from bakeoff.data import coco, yolo
from bakeoff.data.images import decode
from bakeoff.data.letterbox import letterbox
from bakeoff.errors import InputError
from tests.data.coco_files import document, write

os.environ |= {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}
utils = pytest.importorskip("ultralytics.data.utils")
NAMES = ("a", "b", "c")
RNG = np.random.default_rng(0)
MANY = "\n".join(f"{i % 2} {x:.4f} {y:.4f} .02 .03" for i, (x, y) in enumerate(RNG.uniform(0.1, 0.9, (340, 2))))


def labelled(folder: Path, text: str) -> tuple[Path, Path]:
    """One image of 40 x 20 pixels with these labels."""
    image, label = folder / "images" / "one.png", folder / "labels" / "one.txt"
    for path in (image, label):
        path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(image), RNG.integers(0, 256, (20, 40, 3), np.uint8))
    label.write_text(text, encoding="utf-8")
    return image, label


def theirs(image: Path, label: Path) -> np.ndarray | None:
    """Rows (n, 5) as Ultralytics reads them; none where it leaves the image out."""
    rows = utils.verify_image_label((str(image), str(label), "", False, len(NAMES), 0, 0, False))[1]
    return None if rows is None else rows


def ordered(rows: np.ndarray) -> np.ndarray:
    return rows[np.lexsort(rows.T[::-1])]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n \n",
        "\ufeff1 .5 .5 .2 .2\n",
        "1 .5 .5 .2 .2\n1 .5 .5 .2 .2\n0 .5 .5 .2 .2\n1 .5 .5 .2 .2",  # duplicates
        "1 .1 .1 .1 .1\n1 .10000000001 .1 .1 .1",  # the same as 32-bit floats
        "1 .05 .5 .2 .2\n2 .99 .99 .5 .5",  # partly outside the image
        "1 1.005 .5 .004 .2\n1 -.005 .5 .002 .2",  # wholly outside, within the tolerance
        "1 1.01 .5 1.01 .2\n1 -.01 .5 .2 .2",  # the tolerance itself
        "1 .5 .5 .025 .05",  # one pixel
        "1 .5 .5 0 .2\n1 .5 .5 .2 0\n1 .2 .2 0 0",  # no size
        "1 .5 .5 .2 .2",  # two of three classes never occur
        MANY,
        "0 .1 .2 .5 .2 .5 .6 .1 .6\n1 .2 .2 .3 .3 .4 .2",  # polygons
        "0 .5 .5 1.2 .5 1.2 .6 .5 .6",  # a polygon whose points lie outside and whose box fits
    ],
    ids=["empty", "blank", "mark", "duplicates", "float32", "partly", "wholly", "tolerance", "pixel", "no-size",
         "classes", "many", "polygons", "polygon-outside"],
)  # fmt: skip
def test_labels_are_read_as_by_ultralytics(tmp_path, text):
    image, label = labelled(tmp_path, text)
    labels = yolo.read_labels(image, NAMES)
    ours = np.column_stack((labels.classes.astype(np.float32), labels.xywhn))
    expected = theirs(image, label)
    assert expected is not None
    assert ours.dtype == expected.dtype == np.float32
    assert ordered(ours) == pytest.approx(ordered(expected), abs=1e-7)


@pytest.mark.parametrize(
    "text",
    ["3 .5 .5 .2 .2", "-1 .5 .5 .2 .2", "1.5 .5 .5 .2 .2", "1 .5 .5 .2", "x .5 .5 .2 .2", "1 1.02 .5 .1 .1",
     "1 -.02 .5 .1 .1", "1 .5 .5 -.005 .1", "1 .5 .5 1.2 .1", "1 .5 .5 nan .1", "0 .5 .5 .1 .1\n1 .5 .5",
     "1 320 240 40 40"],
)  # fmt: skip
def test_an_image_that_ultralytics_leaves_out_for_its_labels_is_an_error(tmp_path, text):
    image, label = labelled(tmp_path, text)
    assert theirs(image, label) is None
    with pytest.raises(InputError, match=r"one\.txt, line "):
        yolo.read_labels(image, NAMES)


def test_where_labels_are_read_otherwise_than_by_ultralytics(tmp_path):
    """Each of these stands in docs/accuracy.md."""
    square = "0 .1 .1 .3 .1 .3 .3 .1 .3"
    diamond = "0 .2 .1 .3 .2 .2 .3 .1 .2"
    image, label = labelled(tmp_path, f"{square}\n{diamond}")
    assert len(theirs(image, label)) == 2
    assert len(yolo.read_labels(image, NAMES).classes) == 1, "two polygons with the same box count once"
    image, label = labelled(tmp_path, f"{square}\n1 .5 .5 .2 .2")
    assert theirs(image, label) is None
    assert len(yolo.read_labels(image, NAMES).classes) == 2, "boxes and polygons may stand in one file"


def test_what_ultralytics_converter_makes_of_coco_boxes_is_read_the_same_but_for_boxes_of_no_size(tmp_path):
    """Crowds and repetitions are no boxes of either; the converter drops boxes of no size, which count here."""
    converter = pytest.importorskip("ultralytics.data.converter")
    whole = document()
    first = whole["annotations"][0]
    whole["annotations"] += [
        first | {"id": 10},
        first | {"id": 11, "bbox": [-4, 2, 12, 10]},
        first | {"id": 12, "bbox": [30, 10, 18, 12]},
        first | {"id": 13, "bbox": [39, 19, 1, 1]},
        first | {"id": 14, "bbox": [3, 3, 0, 5]},
    ]
    # ids from 1 without a gap: all that the converter understands
    ids = {5: 1, 17: 2, 90: 3}
    for one in whole["categories"]:
        one["id"] = ids[one["id"]]
    for one in whole["annotations"]:
        one["category_id"] = ids[one["category_id"]]
    path = write(tmp_path / "json" / "instances_val.json", whole)
    converter.convert_coco(str(path.parent), save_dir=str(tmp_path / "made"), cls91to80=False)
    dataset = coco.read_dataset(path, None)
    for image in dataset.validation:
        ours = dataset.labels(image)
        rows = np.column_stack((ours.classes, ours.xywhn))[ours.true & (ours.xywhn[:, 2:] > 0).all(1)]
        label = tmp_path / "made" / "labels" / "val" / f"{image.stem}.txt"
        assert ordered(rows) == pytest.approx(ordered(theirs(image, label)), abs=1e-5)
    assert dataset.labels(dataset.validation[1]).boxes == 5
    whole["annotations"].append(first | {"id": 15, "category_id": 3, "bbox": [60, 2, 10, 10]})  # wholly outside
    path.write_text(json.dumps(whole))
    assert coco.read_dataset(path, None).labels(dataset.validation[1]).boxes == 6
    converter.convert_coco(str(path.parent), save_dir=str(tmp_path / "again"), cls91to80=False)
    assert theirs(dataset.validation[1], tmp_path / "again" / "labels" / "val" / "b.txt") is None


def test_an_image_of_less_than_10_pixels_counts_where_ultralytics_leaves_it_out(tmp_path):
    image, label = labelled(tmp_path, "0 .5 .5 .2 .2")
    cv2.imwrite(str(image), np.zeros((9, 40, 3), np.uint8))
    assert theirs(image, label) is None
    assert decode(image).shape == (9, 40, 3)


def test_a_jpeg_cut_short_is_not_rewritten_as_ultralytics_does(tmp_path):
    image, label = labelled(tmp_path, "0 .5 .5 .2 .2")
    image = image.with_suffix(".jpg")
    whole = cv2.imencode(".jpg", RNG.integers(0, 256, (64, 64, 3), np.uint8))[1].tobytes()
    image.write_bytes(whole + b"tail")
    decode(image)
    assert image.read_bytes() == whole + b"tail"
    theirs(image, label)
    assert image.read_bytes() != whole + b"tail"


# --- the whole way: canvas and true boxes


def write_set(folder: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    smooth = cv2.resize(RNG.integers(0, 256, (6, 8, 3), np.uint8), (100, 60))
    deep = RNG.integers(0, 65536, (33, 77, 3), np.uint16)
    odd = {
        "cmyk.jpg": (Image.fromarray(smooth).convert("CMYK"), "0 .5 .5 .01 .0166"),
        "exif.jpg": (Image.fromarray(smooth), "0 .2 .7 .3 .1\n1 .9 .1 .3 .1"),
        "grey.png": (Image.fromarray(smooth[..., 0]), None),
        "many.png": (Image.fromarray(smooth), MANY),
        "none.png": (Image.fromarray(smooth), ""),
        "palette.png": (Image.fromarray(smooth).convert("P"), "0 .5 .5 0 0\n1 1.005 .5 .004 .2"),
        "thin.png": (Image.fromarray(smooth[:11]), "2 .1 .1 .1 .1\n2 .1 .1 .1 .1\n2 1.0 1.0 .6 .6"),
    }
    for name, (image, text) in odd.items():
        labelled(folder, "")
        image.save(folder / "images" / name, **({"exif": exif} if name == "exif.jpg" else {}))
        if text is not None:
            (folder / "labels" / name).with_suffix(".txt").write_text(text)
    (folder / "images" / "one.png").unlink()
    for name in ("deep.png", "deep-too.tif"):
        cv2.imwrite(str(folder / "images" / name), deep)
        (folder / "labels" / name).with_suffix(".txt").write_text("1 .4 .4 .3 .2")


def test_canvases_and_true_boxes_equal_those_of_ultralytics_validation(tmp_path):
    torch = pytest.importorskip("torch")
    from ultralytics.cfg import get_cfg
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.models.yolo.detect import DetectionValidator

    write_set(tmp_path)
    (tmp_path / "data.yaml").write_text(f"val: images\nnames: {list(NAMES)}\n")
    ours = yolo.read_dataset(tmp_path / "data.yaml")
    loaded = YOLODataset(
        img_path=str(tmp_path / "images"), imgsz=64, augment=False, rect=False, hyp=get_cfg(), task="detect",
        data={"names": dict(enumerate(NAMES)), "nc": len(NAMES), "channels": 3},
    )  # fmt: skip
    assert [Path(file) for file in loaded.im_files] == list(ours.validation)
    validator = DetectionValidator.__new__(DetectionValidator)
    validator.device = torch.device("cpu")

    geometries = []
    for i, path in enumerate(ours.validation):
        canvas = np.empty((64, 64, 3), np.uint8)
        geometries.append(letterbox(decode(path), canvas))
        assert np.array_equal(canvas[..., ::-1].transpose(2, 0, 1), loaded[i]["img"].numpy()), path.name
    truth = GroundTruth.of([ours.labels(path) for path in ours.validation], geometries, NAMES)
    for i, path in enumerate(ours.validation):
        batch = validator._prepare_batch(0, loaded.collate_fn([loaded[i]]))
        expected = np.column_stack((batch["cls"].numpy(), batch["bboxes"].numpy().reshape(-1, 4)))
        mine = truth.image == i
        found = np.column_stack((truth.classes[mine], truth.canvas_xyxy[mine]))
        assert ordered(found) == pytest.approx(ordered(expected), abs=1e-4), path.name
