"""Crowds and odd true boxes, held to pycocotools and faster-coco-eval on the same json files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bakeoff.accuracy.boxes import DetectionTable, GroundTruth
from bakeoff.accuracy.evaluate import evaluate
from bakeoff.data import coco
from bakeoff.data.labels import Labels
from bakeoff.data.letterbox import Geometry
from tests.accuracy.test_evaluate import summary
from tests.data.coco_files import write

WH = (96, 64)
NAMES = ("a", "b", "c")


def random_document(seed: int, images: int = 12, *, whole_pixels: bool = False) -> dict:
    """True boxes of three classes, about a third of them crowds, some of them large."""
    rng = np.random.default_rng(seed)
    annotations = []
    for image in range(images):
        for _ in range(rng.integers(0, 9)):
            crowd = rng.uniform() < 0.35
            wh = rng.uniform(5, (60, 50) if crowd else (30, 30), 2)
            box = np.concatenate((rng.uniform(-5, np.array(WH) - 10, 2), wh))
            box = box.round() if whole_pixels else box
            annotations.append(
                {"id": len(annotations) + 1, "image_id": image, "category_id": int(rng.integers(1, 4)),
                 "bbox": box.tolist(), "area": float(box[2] * box[3]), "iscrowd": int(crowd)}
            )  # fmt: skip
    return {
        "images": [{"id": i, "file_name": f"{i:02}.png", "width": WH[0], "height": WH[1]} for i in range(images)],
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(NAMES)],
        "annotations": annotations,
    }


def random_detections(document: dict, seed: int, *, whole_pixels: bool = False) -> DetectionTable:
    """Detections that are right, doubled, inside crowds, across their edges, of the wrong class or invented."""
    rng = np.random.default_rng(seed)
    rows = []
    for one in document["annotations"]:
        x, y, w, h = one["bbox"]
        for _ in range(rng.integers(0, 4)):
            if one["iscrowd"]:
                size = np.array([w, h]) * rng.uniform(0.1, 0.7)
                corner = np.array([x, y]) + rng.uniform(-0.3, 0.9, 2) * np.array([w, h])
                box = np.concatenate((corner, corner + size))
            else:
                box = np.array([x, y, x + w, y + h]) + rng.normal(0, 0.08, 4) * (w, h, w, h)
            label = one["category_id"] - 1 if rng.uniform() < 0.9 else int(rng.integers(0, 3))
            rows.append((one["image_id"], *box, rng.uniform(), label))
    for _ in range(20):
        x, y = rng.uniform(0, (80, 50))
        rows.append((rng.integers(0, len(document["images"])), x, y, x + 12, y + 12, rng.uniform(), rng.integers(0, 3)))
    found = np.array(rows)
    found[:, 5] = found[:, 5].round(1)  # many equal scores
    found = found[np.lexsort((-found[:, 5], found[:, 0]))]
    if whole_pixels:
        found[:, 1:5] = found[:, 1:5].round()
    return DetectionTable(
        image=found[:, 0].astype(np.int32),
        xyxy=found[:, 1:5].astype(np.float32),
        scores=found[:, 5].astype(np.float32),
        classes=found[:, 6].astype(np.int32),
    )


def ground_truth(folder: Path, document: dict) -> tuple[GroundTruth, list[Geometry]]:
    dataset = coco.read_dataset(write(folder / "set.json", document), NAMES)
    geometries = [Geometry.of(WH, WH[0])] * len(dataset.validation)
    return GroundTruth.of([dataset.labels(path) for path in dataset.validation], geometries, NAMES), geometries


def on_canvas(table: DetectionTable, geometry: Geometry) -> DetectionTable:
    """Move frame pixels to where they lie on the canvas; the scale is 1, so nothing is lost."""
    xyxy = table.xyxy + np.array((*geometry.left_top, *geometry.left_top), np.float32)
    return DetectionTable(image=table.image, xyxy=xyxy, scores=table.scores, classes=table.classes)


def by_tool(tool: str, document: dict, table: DetectionTable, geometries) -> dict[str, float]:
    if tool == "pycocotools":
        module, evaluator = (
            pytest.importorskip("pycocotools.coco"),
            pytest.importorskip("pycocotools.cocoeval").COCOeval,
        )
    else:
        module = pytest.importorskip("faster_coco_eval")
        evaluator = module.COCOeval_faster
    results = [
        {"image_id": int(image), "category_id": int(c) + 1, "score": float(score),
         "bbox": [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])]}
        for image, c, score, box in zip(
            table.image, table.classes, table.scores, table.in_frames(geometries), strict=True)
    ]  # fmt: skip
    return summary(module.COCO, evaluator, json.loads(json.dumps(document)), results)


def both(folder: Path, document: dict, table: DetectionTable, tool: str) -> tuple[dict, dict]:
    truth, geometries = ground_truth(folder, document)
    table = on_canvas(table, geometries[0])
    return evaluate(truth, table, geometries).accuracy.coco, by_tool(tool, document, table, geometries)


@pytest.mark.parametrize("tool", ["pycocotools", "faster-coco-eval"])
@pytest.mark.parametrize("whole_pixels", [False, True], ids=["anywhere", "whole-pixels"])
@pytest.mark.parametrize("seed", range(6))
def test_figures_with_crowds_equal_the_tools(tmp_path, seed, whole_pixels, tool):
    """Whole pixels bring many equal overlaps, and overlaps that meet a threshold exactly."""
    document = random_document(seed, whole_pixels=whole_pixels)
    table = random_detections(document, seed + 100, whole_pixels=whole_pixels)
    ours, theirs = both(tmp_path, document, table, tool)
    assert 0.02 < theirs["map50_95"] < 0.9
    assert ours == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_crowds_change_the_figures_of_these_sets(tmp_path, seed):
    """Otherwise the sets would prove nothing."""
    document = random_document(seed)
    table = random_detections(document, seed + 100)
    plain = document | {"annotations": [one for one in document["annotations"] if not one["iscrowd"]]}
    with_crowds, _ = both(tmp_path / "with", document, table, "pycocotools")
    without, _ = both(tmp_path / "without", plain, table, "pycocotools")
    assert with_crowds["map50"] > without["map50"] + 0.01


def test_ultralytics_figures_know_no_crowds(tmp_path):
    document = random_document(1)
    table = random_detections(document, 101)
    plain = document | {"annotations": [one for one in document["annotations"] if not one["iscrowd"]]}
    figures = []
    for name, one in (("with", document), ("without", plain)):
        truth, geometries = ground_truth(tmp_path / name, one)
        accuracy = evaluate(truth, on_canvas(table, geometries[0]), geometries).accuracy
        figures.append((accuracy.boxes, accuracy.map50, accuracy.map50_95, accuracy.precision, accuracy.recall))
    assert figures[0] == figures[1]


def odd_document() -> tuple[dict, DetectionTable]:
    """Boxes of a pixel, of no size, outside the image, on top of each other, and 350 in one image."""
    document = random_document(3, images=4)
    boxes = [[5, 5, 1, 1], [9, 9, 0, 4], [9, 9, 0, 0], [200, 10, 20, 20], [80, 50, 40, 40], [-10, -10, 300, 300],
             [-90, -90, 20, 20]]  # fmt: skip
    boxes += [[x, y, 4, 3] for x in range(0, 92, 4) for y in range(0, 60, 4)]
    for box in boxes:
        document["annotations"].append(
            {"id": len(document["annotations"]) + 1, "image_id": 2, "category_id": 1, "bbox": box,
             "area": box[2] * box[3], "iscrowd": 0}
        )  # fmt: skip
    rng = np.random.default_rng(3)
    right = np.array([(x, y, x + w, y + h) for x, y, w, h in boxes], float)
    right = np.clip(right + rng.integers(0, 2, right.shape), 0, (*WH, *WH))
    scores = -np.sort(-rng.uniform(size=len(right)))
    table = DetectionTable(
        image=np.full(len(right), 2, np.int32),
        xyxy=right[rng.permutation(len(right))].astype(np.float32),
        scores=scores.astype(np.float32),
        classes=np.zeros(len(right), np.int32),
    )
    return document, table


@pytest.mark.parametrize("tool", ["pycocotools", "faster-coco-eval"])
def test_odd_boxes_score_as_by_the_tools(tmp_path, tool):
    document, table = odd_document()
    assert sum(one["image_id"] == 2 for one in document["annotations"]) > 300
    ours, theirs = both(tmp_path, document, table, tool)
    assert theirs["map50_95"] > 0.01
    assert ours == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("tool", ["pycocotools", "faster-coco-eval"])
def test_of_boxes_that_overlap_equally_the_last_is_taken(tmp_path, tool):
    """The first detection spans both boxes; the second fits the first box, which must still be free."""
    boxes = [
        {"id": i + 1, "image_id": 0, "category_id": 1, "bbox": [x, 10, 10, 10], "area": 100, "iscrowd": 0}
        for i, x in enumerate((10, 20))
    ]
    table = DetectionTable(
        image=np.zeros(2, np.int32),
        xyxy=np.array([[10, 10, 30, 20], [10, 10, 20, 20]], np.float32),
        scores=np.array([0.9, 0.8], np.float32),
        classes=np.zeros(2, np.int32),
    )
    ours, theirs = both(tmp_path, random_document(0, images=1) | {"annotations": boxes}, table, tool)
    assert theirs["map50"] == pytest.approx(1)
    assert ours == pytest.approx(theirs, abs=1e-6)


def test_a_class_of_crowds_alone_has_no_figure(tmp_path):
    document = random_document(2)
    for one in document["annotations"]:
        one["iscrowd"] = int(one["iscrowd"] or one["category_id"] == 2)
    table = random_detections(document, 102)
    ours, theirs = both(tmp_path, document, table, "pycocotools")
    assert ours == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("first_id", [0, 1])
def test_an_annotation_of_id_0_counts_here_and_not_in_pycocotools(tmp_path, first_id):
    """pycocotools takes the id 0 of a match for no match: Roboflow's ids begin there. In docs/accuracy.md."""
    box = {"id": first_id, "image_id": 0, "category_id": 1, "bbox": [8, 8, 16, 16], "area": 256, "iscrowd": 0}
    table = DetectionTable(
        image=np.zeros(1, np.int32),
        xyxy=np.array([[8, 8, 24, 24]], np.float32),
        scores=np.ones(1, np.float32),
        classes=np.zeros(1, np.int32),
    )
    ours, theirs = both(tmp_path, random_document(0, images=1) | {"annotations": [box]}, table, "pycocotools")
    assert ours["map50_95"] == pytest.approx(1)
    assert theirs["map50_95"] == pytest.approx(first_id)


# --- the record


def labels(ignore) -> Labels:
    xywhn = np.array([[0.5, 0.5, 0.2, 0.2], [0.2, 0.2, 0.1, 0.1]])
    return Labels(classes=np.array([0, 1], np.int32), xywhn=xywhn, ignore=ignore)


def test_ignore_regions_come_back_from_the_runs_samples():
    geometries = [Geometry.of(WH, WH[0])] * 2
    truth = GroundTruth.of([labels(np.array([True, False])), labels(None)], geometries, NAMES)
    assert truth.image.tolist() == [0, 1, 1]
    assert truth.ignore.image.tolist() == [0]
    back = GroundTruth.stored(truth.arrays(), 2, NAMES)
    for name in ("image", "classes", "canvas_xyxy", "frame_xyxy"):
        assert np.array_equal(getattr(back, name), getattr(truth, name))
    assert np.array_equal(back.ignore.frame_xyxy, truth.ignore.frame_xyxy)
    assert np.array_equal(back.ignore.classes, truth.ignore.classes)


def test_samples_of_before_ignore_regions_are_read():
    truth = GroundTruth.of([labels(None)], [Geometry.of(WH, WH[0])], NAMES)
    old = {name: array for name, array in truth.arrays().items() if "ignore" not in name}
    back = GroundTruth.stored(old, 1, NAMES)
    assert len(back.classes) == 2
    assert len(back.ignore.image) == 0


def test_labels_without_ignore_regions_hash_as_before_there_were_any():
    plain, none, some = labels(None), labels(np.zeros(2, bool)), labels(np.array([True, False]))
    assert plain.content() == none.content() == plain.classes.tobytes() + plain.xywhn.tobytes()
    assert some.content() != plain.content()
