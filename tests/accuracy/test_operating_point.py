from __future__ import annotations

import numpy as np
import pytest

from bakeoff.accuracy import bootstrap
from bakeoff.accuracy.boxes import DetectionTable
from bakeoff.accuracy.operating_point import DEFAULT_CONFIDENCE, EDGES, Judged, Threshold, measure, resampled_recall
from tests.accuracy.test_evaluate import as_tables, random_set


def judged(image, scores, right, boxes) -> Judged:
    return Judged(
        image=np.array(image, np.int32),
        scores=np.array(scores, np.float32),
        right=np.array(right, bool),
        boxes=np.array(boxes),
    )


def weights(images, resamples=1000):
    return list(bootstrap.image_weights(images, 0, resamples))


def test_figures_at_a_given_confidence_are_those_counted_by_hand():
    one = judged([0, 0, 0, 1, 1], [0.9, 0.6, 0.3, 0.8, 0.7], [True, False, True, True, False], [2, 2, 0])
    point = measure(one, None, Threshold.given(0.5), weights(3))
    assert point.given
    assert point.precision.value == pytest.approx(2 / 4)
    assert point.recall.value == pytest.approx(2 / 4)
    assert point.f1.value == pytest.approx(1 / 2)
    assert point.false_alarms_per_image.value == pytest.approx(2 / 3)
    assert point.misses_per_image.value == pytest.approx(2 / 3)
    assert point.misses_per_image.low < point.misses_per_image.value < point.misses_per_image.high
    assert (point.deltas, point.restoring_confidence) == ({}, None)


def test_a_score_equal_to_the_confidence_is_not_shown_as_in_decoding():
    one = judged([0], [0.5], [True], [1])
    assert one.counts(np.array([0.5])).tolist() == [[0], [0], [1]]


def test_each_half_is_judged_at_the_threshold_of_the_other():
    truth, table, _ = as_tables(*random_set(5, images=80))
    one = Judged.of(truth, table)
    threshold = Threshold.best(one, seed=1)
    at = threshold.per_image(80)
    halves = [at == fold for fold in threshold.folds]
    assert [int(half.sum()) for half in halves] == [40, 40]
    for mine, other in (halves, halves[::-1]):
        keep = np.flatnonzero(other)
        rest = np.isin(one.image, keep)
        alone = judged(np.searchsorted(keep, one.image[rest]), one.scores[rest], one.right[rest], one.boxes[keep])
        assert Threshold.best(alone, seed=0).confidence == at[mine][0]


def test_the_same_seed_gives_the_same_halves_and_another_seed_others():
    truth, table, _ = as_tables(*random_set(6, images=60))
    one = Judged.of(truth, table)
    assert Threshold.best(one, 3) == Threshold.best(one, 3)
    assert (Threshold.best(one, 3).per_image(60) != Threshold.best(one, 4).per_image(60)).any()


def test_the_best_f1_is_near_the_best_of_all_thresholds():
    truth, table, _ = as_tables(*random_set(7, images=300))
    one = Judged.of(truth, table)

    def f1(confidence):
        hits, alarms, misses = one.counts(np.full(300, confidence)).sum(1)
        return 2 * hits / (2 * hits + alarms + misses)

    assert f1(Threshold.best(one, 0).confidence) > max(f1(t) for t in np.linspace(0, 1, 200)) - 0.01


def test_a_reference_that_finds_nothing_right_gets_the_default():
    threshold = Threshold.best(judged([0, 1], [0.9, 0.8], [False, False], [1, 1]), 0)
    assert (threshold.confidence, threshold.folds) == (DEFAULT_CONFIDENCE, (DEFAULT_CONFIDENCE,) * 2)


def test_lowered_scores_lose_recall_and_the_restoring_confidence_finds_it_again():
    """What collapses in practice while mAP looks fine: the order is the same, the scores are not."""
    truth, table, _ = as_tables(*random_set(8, images=200))
    lower = DetectionTable(
        image=table.image, xyxy=table.xyxy, scores=table.scores * np.float32(0.5), classes=table.classes
    )
    reference, shifted = Judged.of(truth, table), Judged.of(truth, lower)
    threshold = Threshold.given(0.4)
    point = measure(shifted, reference, threshold, weights(200))
    assert point.deltas["recall"].high < 0
    assert point.restoring_confidence == pytest.approx(0.2, abs=0.01)
    found = shifted.counts(np.full(200, point.restoring_confidence))[0].sum()
    assert found >= reference.counts(threshold.per_image(200))[0].sum()


def test_what_never_finds_as_much_has_no_restoring_confidence():
    reference = judged([0, 1], [0.9, 0.8], [True, True], [1, 1])
    worse = judged([0], [0.9], [True], [1, 1])
    assert measure(worse, reference, Threshold.given(0.5), weights(2)).restoring_confidence is None


def test_identical_detections_differ_by_exactly_nothing():
    truth, table, _ = as_tables(*random_set(9))
    one = Judged.of(truth, table)
    point = measure(one, one, Threshold.best(one, 0), weights(30))
    for delta in (*point.deltas.values(), point.d_ece_delta):
        assert (delta.value, delta.low, delta.high) == (0, 0, 0)


def test_scores_that_are_the_share_that_is_right_have_no_calibration_error():
    centres = (EDGES[:-1] + EDGES[1:]) / 2
    rng = np.random.default_rng(0)
    scores = rng.choice(centres, 60_000)
    right = rng.uniform(size=60_000) < scores
    boxes = np.full(100, 600)
    image = np.sort(rng.integers(0, 100, 60_000))
    calibrated = measure(judged(image, scores, right, boxes), None, Threshold.given(0.5), weights(100, 50))
    sure = measure(judged(image, np.full(60_000, 0.99), right, boxes), None, Threshold.given(0.5), weights(100, 50))
    assert calibrated.d_ece.value < 0.01
    assert sure.d_ece.value == pytest.approx(0.99 - right.mean(), abs=1e-6)
    assert [round(one.confidence, 3) for one in calibrated.reliability] == [round(c, 3) for c in centres]


def test_stored_detections_are_read_by_their_whole_key_though_another_begins_with_it():
    _, table, _ = as_tables(*random_set(3))
    other = table.above(0.5)
    arrays = {**table.stored("pytorch/fp32/dyn"), **other.stored("pytorch/fp32/dyn/channels-last")}
    assert len(DetectionTable.read(arrays, "pytorch/fp32/dyn")) == len(table)
    assert len(DetectionTable.read(arrays, "pytorch/fp32/dyn/channels-last")) == len(other) < len(table)


def test_a_reference_of_low_scores_gets_a_threshold_of_its_own():
    rng = np.random.default_rng(0)
    scores = np.sort(rng.uniform(0.002, 0.04, 200))[::-1]
    one = judged(np.sort(rng.integers(0, 50, 200)), scores, rng.uniform(size=200) < 0.8, np.full(50, 4))
    assert Threshold.best(one, 0).confidence < 0.04


def test_resampled_recall_is_what_the_difference_s_interval_is_made_of():
    truth, table, _ = as_tables(*random_set(5))
    other = DetectionTable(image=table.image, xyxy=table.xyxy + 9, scores=table.scores, classes=table.classes)
    own, theirs = Judged.of(truth, other), Judged.of(truth, table)
    threshold = Threshold.best(theirs, 0)
    sets = weights(truth.images)
    point = measure(own, theirs, threshold, sets)
    low, high = bootstrap.interval(resampled_recall(own, threshold, sets) - resampled_recall(theirs, threshold, sets))
    assert low < 0
    assert (low, high) == (point.deltas["recall"].low, point.deltas["recall"].high)
