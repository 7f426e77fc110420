from __future__ import annotations

import numpy as np
import pytest

from bakeoff.accuracy import bootstrap
from bakeoff.accuracy.agreement import WORST, compare
from bakeoff.accuracy.boxes import DetectionTable
from bakeoff.data.letterbox import Geometry
from tests.accuracy.test_evaluate import as_tables, random_set

SIZE = 640


def table(*rows) -> DetectionTable:
    """Rows of image, x1, y1, x2, y2, score, class."""
    array = np.array(rows, np.float64).reshape(-1, 7)
    return DetectionTable(
        image=array[:, 0].astype(np.int32),
        xyxy=array[:, 1:5].astype(np.float32),
        scores=array[:, 5].astype(np.float32),
        classes=array[:, 6].astype(np.int32),
    )


def agree(reference, found, images=4, confidence=0.25):
    geometries = [Geometry.of((SIZE, SIZE), SIZE)] * images
    names = [f"{i}.jpg" for i in range(images)]
    return compare(reference, found, geometries, names, confidence, bootstrap.image_weights(images, 0))


def test_the_same_detections_agree_in_all():
    _, found, _ = as_tables(*random_set(1))
    one = agree(found, found, images=30)
    shown = (one.matched_share.value, one.mean_iou.value, one.score_shift.value, one.class_flips.value, one.worst)
    assert shown == (1, 1, 0, 0, ())


def test_figures_are_those_counted_by_hand():
    reference = table((0, 0, 0, 20, 20, 0.9, 0), (0, 100, 100, 200, 200, 0.8, 1), (1, 0, 0, 100, 100, 0.7, 0))
    found = table((0, 0, 0, 20, 20, 0.8, 0), (0, 100, 100, 200, 200, 0.8, 0), (2, 5, 5, 50, 50, 0.6, 1))
    one = agree(reference, found)
    assert (one.reference_boxes, one.boxes) == (3, 3)
    assert one.matched_share.value == pytest.approx(4 / 6)
    assert one.score_shift.value == pytest.approx(-0.05)
    assert one.class_flips.value == pytest.approx(1 / 2)
    assert [(d.image, d.lost, d.added, d.flips) for d in one.worst] == [
        ("0.jpg", 0, 0, 1), ("1.jpg", 1, 0, 0), ("2.jpg", 0, 1, 0)
    ]  # fmt: skip
    assert [d.difference for d in one.worst] == pytest.approx([1.1, 0.7, 0.6])
    sizes = {size.size: (size.reference_boxes, size.matched_share) for size in one.by_size}
    assert sizes == {"small": (1, 1.0), "medium": (0, None), "large": (2, 0.5)}


def test_what_scores_no_more_than_the_confidence_does_not_count():
    one = agree(table((0, 0, 0, 9, 9, 0.25, 0)), table((0, 0, 0, 9, 9, 0.9, 0)))
    assert (one.reference_boxes, one.boxes, one.matched_share.value) == (0, 1, 0)


def test_two_sides_that_find_nothing_agree():
    one = agree(table(), table())
    assert (one.matched_share.value, one.mean_iou, one.score_shift) == (1, None, None)


def test_a_partner_of_the_same_class_comes_before_a_better_overlap_of_another():
    """Two objects on top of each other, of different classes: both sides find both, so nothing flipped."""
    reference = table((0, 0, 0, 100, 100, 0.9, 0), (0, 5, 0, 105, 100, 0.8, 1))
    found = table((0, 5, 0, 105, 100, 0.9, 0), (0, 0, 0, 100, 100, 0.8, 1))
    one = agree(reference, found)
    assert (one.matched_share.value, one.class_flips.value) == (1, 0)
    assert one.mean_iou.value == pytest.approx(95 / 105)


def test_each_box_has_one_partner_at_most():
    one = agree(table((0, 0, 0, 100, 100, 0.9, 0)), table((0, 0, 0, 100, 100, 0.9, 0), (0, 1, 0, 101, 100, 0.8, 0)))
    assert one.matched_share.value == pytest.approx(2 / 3)


def test_the_twenty_images_that_differ_most_are_named_the_worst_first():
    _, found, _ = as_tables(*random_set(2, images=60))
    keep = np.random.default_rng(0).uniform(size=len(found)) < 0.5
    one = agree(found, found.where(keep), images=60)
    differences = [d.difference for d in one.worst]
    assert len(differences) == WORST
    assert differences == sorted(differences, reverse=True)
    assert one.matched_share.low < one.matched_share.value < one.matched_share.high < 1
