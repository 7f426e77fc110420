"""Figures against the tools that define them, and against cases worked out by hand."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest

from bakeoff.accuracy.boxes import DetectionTable, GroundTruth
from bakeoff.accuracy.evaluate import evaluate
from bakeoff.data.letterbox import Geometry
from bakeoff.data.yolo import Labels

SIZE = 640


def random_set(seed: int, images: int = 30, classes: int = 4):
    """True boxes, and detections that are sometimes right, shifted, doubled, of the wrong class or invented."""
    rng = np.random.default_rng(seed)
    labels, found = [], []
    for image in range(images):
        count = int(rng.integers(0, 8))
        wh = rng.uniform(0.03, 0.3, (count, 2))
        centre = rng.uniform(wh / 2, 1 - wh / 2)
        own = rng.integers(0, classes, count).astype(np.int32)
        labels.append(Labels(classes=own, xywhn=np.concatenate((centre, wh), 1).astype(np.float32)))
        rows = []
        for c, (x, y), (w, h) in zip(own, centre, wh, strict=True):
            for _ in range(rng.integers(0, 3)):
                shift = rng.normal(0, 0.1, 4) * (w, h, w, h)
                box = np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2]) + shift
                rows.append((*(box * SIZE), rng.uniform(), c if rng.uniform() < 0.9 else rng.integers(0, classes)))
        for _ in range(rng.integers(0, 4)):
            x, y = rng.uniform(0, 0.8, 2)
            rows.append(
                (x * SIZE, y * SIZE, (x + 0.1) * SIZE, (y + 0.1) * SIZE, rng.uniform(0, 0.6), rng.integers(0, 4))
            )
        rows.sort(key=lambda row: -row[4])
        found += [(image, *row) for row in rows]
    return labels, np.array(found, np.float64).reshape(-1, 7)


def as_tables(labels, found, classes: int = 4, frame_wh=(SIZE, SIZE)):
    geometries = [Geometry.of(frame_wh, SIZE)] * len(labels)
    truth = GroundTruth.of(labels, geometries, tuple(f"c{i}" for i in range(classes)))
    table = DetectionTable(
        image=found[:, 0].astype(np.int32),
        xyxy=found[:, 1:5].astype(np.float32),
        scores=found[:, 5].astype(np.float32),
        classes=found[:, 6].astype(np.int32),
    )
    return truth, table, geometries


def coco_figures(truth: GroundTruth, table: DetectionTable, geometries) -> dict[str, float]:
    """The same boxes through pycocotools."""
    coco_module = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    def xywh(box):
        return [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])]

    boxes = [xywh(box) for box in truth.frame_xyxy]
    document = {
        "images": [{"id": i} for i in range(truth.images)],
        "categories": [{"id": i} for i in range(len(truth.class_names))],
        "annotations": [
            {"id": i + 1, "image_id": int(image), "category_id": int(c), "bbox": b, "area": b[2] * b[3], "iscrowd": 0}
            for i, (image, c, b) in enumerate(zip(truth.image, truth.classes, boxes, strict=True))
        ],
    }
    results = [
        {"image_id": int(image), "category_id": int(c), "bbox": xywh(box), "score": float(score)}
        for image, c, box, score in zip(
            table.image, table.classes, table.in_frames(geometries), table.scores, strict=True
        )
    ]
    return summary(coco_module.COCO, COCOeval, document, results)


def summary(coco_class, evaluator, document: dict, results: list[dict]) -> dict[str, float]:
    """What a COCO tool makes of a document and of detections."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco_class()
        truth.dataset = document
        truth.createIndex()
        evaluation = evaluator(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    stats = evaluation.stats
    return {"map50_95": stats[0], "map50": stats[1], "map75": stats[2], "ar100": stats[8]}


@pytest.mark.parametrize("seed", range(8))
def test_coco_figures_equal_pycocotools(seed):
    tables = as_tables(*random_set(seed))
    ours = evaluate(*tables).accuracy.coco
    theirs = coco_figures(*tables)
    assert 0.05 < theirs["map50_95"] < 0.95
    assert ours == pytest.approx(theirs, abs=1e-6)


def test_coco_figures_equal_pycocotools_on_frames_that_are_not_square():
    labels, found = random_set(99)
    tables = as_tables(labels, found, frame_wh=(517, 389))
    assert evaluate(*tables).accuracy.coco == pytest.approx(coco_figures(*tables), abs=1e-6)


def test_coco_counts_a_hundred_detections_of_a_class_in_an_image():
    labels, found = random_set(3, images=2)
    more = np.repeat(found[:1], 150, 0)
    more[:, 1:5] = [1, 1, 9, 9]
    more[:, 5] = np.linspace(0.99, 0.9, 150)
    found = np.concatenate((more, found))
    found = found[np.lexsort((-found[:, 5], found[:, 0]))]
    tables = as_tables(labels, found)
    assert evaluate(*tables).accuracy.coco == pytest.approx(coco_figures(*tables), abs=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_figures_equal_ultralytics_metrics(seed):
    metrics = pytest.importorskip("ultralytics.utils.metrics")
    truth, table, geometries = as_tables(*random_set(seed))
    from bakeoff.accuracy.matching import match

    correct = match(truth.image, truth.classes, truth.canvas_xyxy, table.image, table.classes, table.xyxy)
    theirs = metrics.ap_per_class(correct, table.scores, table.classes, truth.classes)
    precision, recall, ap = theirs[2], theirs[3], theirs[5]
    ours = evaluate(truth, table, geometries).accuracy
    assert ours.map50_95 == pytest.approx(ap.mean(), abs=1e-9)
    assert ours.map50 == pytest.approx(ap[:, 0].mean(), abs=1e-9)
    assert ours.precision == pytest.approx(precision.mean(), abs=1e-9)
    assert ours.recall == pytest.approx(recall.mean(), abs=1e-9)


def test_perfect_detections_score_one_by_coco_and_nearly_one_by_trapezoids():
    labels, _ = random_set(5)
    rows = []
    for image, one in enumerate(labels):
        for c, (x, y, w, h) in zip(one.classes, one.xywhn.astype(float), strict=True):
            rows.append((image, *(np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2]) * SIZE), 0.9, c))
    accuracy = evaluate(*as_tables(labels, np.array(rows))).accuracy
    assert accuracy.coco["map50_95"] == pytest.approx(1)
    assert accuracy.map50_95 == pytest.approx(0.995)  # Ultralytics' last trapezoid falls to zero
    assert accuracy.recall == pytest.approx(1)


def test_no_detections_scores_zero():
    labels, _ = random_set(6)
    accuracy = evaluate(*as_tables(labels, np.zeros((0, 7)))).accuracy
    assert (accuracy.map50_95, accuracy.map50, accuracy.recall) == (0, 0, 0)
    assert accuracy.coco["map50_95"] == 0


def test_a_class_without_true_boxes_has_no_figures_and_leaves_the_mean_alone():
    labels, found = random_set(7, classes=4)
    accuracy = evaluate(*as_tables(labels, found, classes=6)).accuracy
    assert accuracy.per_class[5].ap50_95 is None
    present = [metric.ap50_95 for metric in accuracy.per_class if metric.ap50_95 is not None]
    assert accuracy.map50_95 == pytest.approx(np.mean(present))
