from __future__ import annotations

import numpy as np

from bakeoff.accuracy.parity import Comparison, contradiction, differs
from bakeoff.records import GroupParity


def heads(scores_lost: bool = False):
    rng = np.random.default_rng(0)
    head = rng.uniform(0, 640, (6, 50)).astype(np.float32)
    head[4:] = rng.uniform(0, 0.1, (2, 50))
    head[4, 7] = 0.9
    other = head.copy()
    if scores_lost:
        other[4:] = 0
    return head, other


def test_errors_are_told_group_by_group_of_channels():
    head, other = heads()
    other[0, 3] += 2
    other[5, 7] += 0.25
    comparison = Comparison()
    comparison.add(head, other)
    boxes, scores = comparison.groups()
    assert (boxes.group, boxes.max_error, boxes.confident_error) == ("boxes", 2, 0)
    assert (scores.group, scores.max_error, scores.confident_error) == ("scores", 0.25, 0.25)
    assert np.isclose(boxes.mean_error, 2 / 200)


def test_lost_scores_are_seen_where_the_cosine_of_the_whole_tensor_is_not():
    head, other = heads(scores_lost=True)
    cosine = (head * other).sum() / np.linalg.norm(head) / np.linalg.norm(other)
    comparison = Comparison()
    comparison.add(head, other)
    assert cosine > 0.9995
    assert comparison.groups()[1].confident_error > 0.8


def test_where_no_anchor_is_confident_the_error_there_is_not_measured():
    head, _ = heads()
    head[4:] = 0.01
    comparison = Comparison()
    comparison.add(head, head)
    assert {group.confident_error for group in comparison.groups()} == {None}


def test_without_images_there_is_nothing_to_tell():
    assert Comparison().groups() == ()


def against_its_own_graph(error: float):
    return [GroupParity(output="output 0", group="scores", max_error=0.5, mean_error=0.1, confident_error=error)]


def test_rounding_is_no_contradiction_and_saturation_is_named():
    assert contradiction(against_its_own_graph(0.017), True) is None
    assert "8-bit saturation, this CPU has no VNNI" in contradiction(against_its_own_graph(0.165), True)
    assert "computes something else" in contradiction(against_its_own_graph(0.165), False)
    assert contradiction([], None) is None


def against_the_plain_shape(boxes: float | None, scores: float | None):
    errors = {"boxes": boxes, "scores": scores}
    return [
        GroupParity(output="output 0", group=group, max_error=9.0, mean_error=0.1, confident_error=error)
        for group, error in errors.items()
    ]


def test_a_shape_may_round_otherwise_but_not_compute_something_else():
    assert differs(against_the_plain_shape(0.02, 0.0002), "fp32") is None
    assert "scores: 0.3 off the plain shape's" in differs(against_the_plain_shape(0.02, 0.3), "fp32")
    assert "boxes: 3 off the plain shape's" in differs(against_the_plain_shape(3.0, 0.0002), "fp32")


def test_in_a_lower_precision_roundings_may_cascade():
    assert differs(against_the_plain_shape(3.0, 0.02), "int8") is None
    assert differs(against_the_plain_shape(3.0, 0.2), "int8") is not None


def test_without_detections_there_is_nothing_to_hold_a_shape_against():
    assert differs(against_the_plain_shape(None, None), "fp32") is None
