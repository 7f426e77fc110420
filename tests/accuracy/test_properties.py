"""What must hold of the figures on any boxes, and that they equal slow, obvious code on thousands of small sets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff.accuracy.average_precision import average_precision, rank
from bakeoff.accuracy.boxes import DetectionTable, GroundTruth
from bakeoff.accuracy.evaluate import evaluate
from bakeoff.accuracy.matching import match
from bakeoff.data.letterbox import Geometry
from tests.accuracy import slow_reference as slow
from tests.accuracy.slow_reference import Box
from tests.accuracy.test_evaluate import as_tables, random_set

SIDE, CLASSES, IMAGES = 64, 3, 3
FAST, LONG = 300, 5000
seeds = st.integers(0, 2**32 - 1)
quick = settings(max_examples=25, deadline=None)


@st.composite
def small_sets(draw, *, distinct: bool = False) -> tuple[list[Box], list[Box]]:
    """True boxes and detections on a coarse grid, so that equal IoUs, and IoUs at a threshold, are common."""
    corner, side = st.integers(0, 4), st.integers(1, 10)
    boxes = st.tuples(st.integers(0, IMAGES - 1), st.integers(0, CLASSES - 1), corner, corner, side, side)
    true = draw(st.lists(boxes, min_size=1, max_size=6))
    found = draw(st.lists(boxes, max_size=8))
    scores = draw(st.lists(st.integers(1, 99), min_size=len(found), max_size=len(found), unique=distinct))
    found = sorted(zip(found, scores, strict=True), key=lambda pair: (pair[0][0], -pair[1]))
    return (
        [Box(i, c, (x, y, x + w, y + h)) for i, c, x, y, w, h in sorted(true, key=lambda box: box[0])],
        [Box(i, c, (x, y, x + w, y + h), float(np.float32(s / 100))) for (i, c, x, y, w, h), s in found],
    )


def tables(true: list[Box], found: list[Box]) -> tuple[GroundTruth, DetectionTable, list[Geometry]]:
    def columns(boxes: list[Box]):
        xyxy = np.array([box.xyxy for box in boxes], np.float64).reshape(-1, 4)
        return np.array([box.image for box in boxes], np.int32), np.array([box.klass for box in boxes], np.int32), xyxy

    image, classes, xyxy = columns(true)
    names = tuple("abc")
    truth = GroundTruth(
        images=IMAGES,
        class_names=names,
        image=image,
        classes=classes,
        canvas_xyxy=xyxy.astype(np.float32),
        frame_xyxy=xyxy,
    )
    image, classes, xyxy = columns(found)
    scores = np.array([box.score for box in found], np.float32)
    table = DetectionTable(image=image, xyxy=xyxy.astype(np.float32), scores=scores, classes=classes)
    return truth, table, [Geometry.of((SIDE, SIDE), SIDE)] * IMAGES


def check_average_precision(true: list[Box], found: list[Box]) -> None:
    accuracy = evaluate(*tables(true, found)).accuracy
    ultralytics, coco = (slow.class_ap(true, found, CLASSES, convention) for convention in ("ultralytics", "coco"))
    for c, metrics in enumerate(accuracy.per_class):
        assert metrics.boxes == sum(box.klass == c for box in true)
        assert (metrics.ap50 is None) == (c not in ultralytics)
        if metrics.ap50 is not None:
            assert metrics.ap50 == pytest.approx(ultralytics[c][0], abs=1e-9)
            assert metrics.ap50_95 == pytest.approx(np.mean(ultralytics[c]), abs=1e-9)
    assert accuracy.map50 == pytest.approx(np.mean([ap[0] for ap in ultralytics.values()]), abs=1e-9)
    assert accuracy.map50_95 == pytest.approx(np.mean(list(ultralytics.values())), abs=1e-9)
    assert accuracy.coco["map50"] == pytest.approx(np.mean([ap[0] for ap in coco.values()]), abs=1e-9)
    assert accuracy.coco["map75"] == pytest.approx(np.mean([ap[5] for ap in coco.values()]), abs=1e-9)
    assert accuracy.coco["map50_95"] == pytest.approx(np.mean(list(coco.values())), abs=1e-9)
    assert accuracy.coco["ar100"] == pytest.approx(slow.mean_recall(true, found), abs=1e-9)


def check_precision_and_recall(true: list[Box], found: list[Box]) -> None:
    """Where the F1 curve has equal maxima the last bit decides, so the point itself is not compared."""
    accuracy = evaluate(*tables(true, found)).accuracy
    curves = slow.curves(true, found)
    point = slow.CONFIDENCES.index(accuracy.confidence)
    assert curves.f1[point] == pytest.approx(max(curves.f1), abs=1e-9)
    for c, metrics in enumerate(accuracy.per_class):
        if metrics.recall is not None:
            assert metrics.precision == pytest.approx(curves.precision[c][point], abs=1e-9)
            assert metrics.recall == pytest.approx(curves.recall[c][point], abs=1e-9)
    assert accuracy.precision == pytest.approx(np.mean([one[point] for one in curves.precision.values()]), abs=1e-9)
    assert accuracy.recall == pytest.approx(np.mean([one[point] for one in curves.recall.values()]), abs=1e-9)


@settings(max_examples=FAST, deadline=None)
@given(small_sets())
def test_average_precision_equals_the_slow_reference(boxes):
    check_average_precision(*boxes)


@settings(max_examples=FAST // 5, deadline=None)
@given(small_sets(distinct=True))
def test_precision_and_recall_equal_the_slow_reference(boxes):
    check_precision_and_recall(*boxes)


@pytest.mark.slow
@settings(max_examples=LONG, deadline=None)
@given(small_sets())
def test_average_precision_equals_the_slow_reference_on_many_sets(boxes):
    check_average_precision(*boxes)


@pytest.mark.slow
@settings(max_examples=LONG // 10, deadline=None)
@given(small_sets(distinct=True))
def test_precision_and_recall_equal_the_slow_reference_on_many_sets(boxes):
    check_precision_and_recall(*boxes)


def figures(truth: GroundTruth, table: DetectionTable, geometries: list[Geometry]) -> dict[str, float]:
    accuracy = evaluate(truth, table, geometries).accuracy
    own = {name: getattr(accuracy, name) for name in ("map50", "map50_95", "precision", "recall", "confidence")}
    return own | {f"coco_{name}": accuracy.coco[name] for name in ("map50_95", "map50", "map75", "ar100")}


def correct_and_ap(truth: GroundTruth, table: DetectionTable, convention):
    """Which detections are right (n, 10), and AP of the classes that have true boxes (classes, 10)."""
    correct = match(truth.image, truth.classes, truth.canvas_xyxy, table.image, table.classes, table.xyxy)
    size = {"images": truth.images, "class_count": len(truth.class_names)}
    once = np.ones((truth.images, 1))
    boxes = truth.per_class(once)
    rankings = rank(table.image, table.scores, table.classes, correct, **size)
    return correct, average_precision(rankings, boxes, once, convention)[boxes[:, 0] > 0, :, 0]


def rows(table: DetectionTable, which) -> DetectionTable:
    return DetectionTable(**{name: getattr(table, name)[which] for name in ("image", "xyxy", "scores", "classes")})


@quick
@given(seeds)
def test_the_order_of_images_and_of_true_boxes_changes_nothing(seed):
    labels, found = random_set(seed % 1000, images=8)
    rng = np.random.default_rng(seed)
    order = rng.permutation(8)
    other = []
    for i in order:
        shuffled = rng.permutation(len(labels[i].classes))
        other.append(replace(labels[i], classes=labels[i].classes[shuffled], xywhn=labels[i].xywhn[shuffled]))
    moved = found.copy()
    moved[:, 0] = np.argsort(order)[found[:, 0].astype(int)]
    moved = moved[np.lexsort((-moved[:, 5], moved[:, 0]))]  # as a table asks: by image, best first
    assert figures(*as_tables(other, moved)) == pytest.approx(figures(*as_tables(labels, found)), abs=1e-12)


@quick
@given(seeds, st.sampled_from(["ultralytics", "coco"]))
def test_removing_a_false_positive_lowers_no_average_precision(seed, convention):
    truth, table, _ = as_tables(*random_set(seed % 1000, images=8))
    correct, before = correct_and_ap(truth, table, convention)
    wrong = np.flatnonzero(~correct.any(1))
    without = np.delete(np.arange(len(table)), np.random.default_rng(seed).choice(wrong, 1))
    assert (correct_and_ap(truth, rows(table, without), convention)[1] >= before - 1e-12).all()


@quick
@given(seeds, st.floats(0, 1), st.sampled_from(["ultralytics", "coco"]))
def test_raising_the_confidence_raises_no_recall_and_no_average_precision(seed, confidence, convention):
    truth, table, _ = as_tables(*random_set(seed % 1000, images=8))
    correct, before = correct_and_ap(truth, table, convention)
    fewer_correct, after = correct_and_ap(truth, rows(table, table.scores >= confidence), convention)
    assert (after <= before + 1e-12).all()
    assert (fewer_correct.sum(0) <= correct.sum(0)).all()


@quick
@given(seeds)
def test_every_image_twice_gives_the_same_map(seed):
    labels, found = random_set(seed % 1000, images=8)
    again = found.copy()
    again[:, 0] += 8
    once, twice = (
        figures(*tables) for tables in (as_tables(labels, found), as_tables(labels * 2, np.concatenate((found, again))))
    )
    for name in ("map50", "map50_95", "coco_map50_95", "coco_map50", "coco_map75", "coco_ar100"):
        assert twice[name] == pytest.approx(once[name], abs=1e-12)
