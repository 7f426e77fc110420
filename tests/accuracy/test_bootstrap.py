from __future__ import annotations

import numpy as np
import pytest

from bakeoff.accuracy import bootstrap
from bakeoff.accuracy.boxes import DetectionTable, GroundTruth
from bakeoff.accuracy.evaluate import evaluate
from tests.accuracy.test_evaluate import as_tables, random_set


def test_weights_draw_as_many_images_as_there_are_and_repeat_with_the_seed():
    def drawn(seed):
        return np.concatenate(list(bootstrap.image_weights(40, seed=seed, resamples=120)), axis=1)

    assert drawn(3).shape == (40, 120)
    assert (drawn(3).sum(0) == 40).all()
    assert (drawn(3) == drawn(3)).all()
    assert (drawn(3) != drawn(4)).any()
    assert drawn(3).mean(1) == pytest.approx(np.ones(40), abs=0.4)


@pytest.mark.parametrize("seed", range(3))
def test_a_weighted_map_equals_scoring_the_images_repeated(seed):
    """No re-matching: the map of a resample is that of a dataset in which its images really stand repeatedly."""
    labels, found = random_set(seed, images=12)
    truth, table, geometries = as_tables(labels, found)
    (weights,) = bootstrap.image_weights(12, seed, resamples=4)
    fast = bootstrap.resample(truth, evaluate(truth, table, geometries), [weights])
    for b in range(4):
        drawn = np.repeat(np.arange(12), weights[:, b].astype(int))
        parts = [np.concatenate((np.full((int((found[:, 0] == i).sum()), 1), n), found[found[:, 0] == i, 1:]), 1)
                 for n, i in enumerate(drawn)]  # fmt: skip
        slow = evaluate(*as_tables([labels[i] for i in drawn], np.concatenate(parts))).accuracy
        assert fast.map50_95[b] == pytest.approx(slow.map50_95, abs=1e-9)


def test_on_a_large_set_the_grid_gives_precision_and_recall_themselves():
    truth, table, geometries = as_tables(*random_set(11, images=1500))
    evaluation = evaluate(truth, table, geometries)
    once = bootstrap.resample(truth, evaluation, [np.ones((1500, 1))])
    assert once.precision[0] == pytest.approx(evaluation.accuracy.precision, abs=0.005)
    assert once.recall[0] == pytest.approx(evaluation.accuracy.recall, abs=0.005)


def test_identical_detections_differ_by_exactly_nothing():
    truth, table, geometries = as_tables(*random_set(1))
    samples = bootstrap.resample(truth, evaluate(truth, table, geometries), bootstrap.image_weights(30, 0))
    delta = bootstrap.delta(0.0, samples.map50_95, samples.map50_95)
    assert (delta.low, delta.high) == (0, 0)


def test_a_detector_that_loses_boxes_is_told_from_the_whole_one():
    truth, table, geometries = as_tables(*random_set(2, images=120))
    keep = np.random.default_rng(0).uniform(size=len(table)) < 0.7
    worse = DetectionTable(**{name: getattr(table, name)[keep] for name in ("image", "xyxy", "scores", "classes")})
    whole, less = evaluate(truth, table, geometries), evaluate(truth, worse, geometries)
    one, other = (bootstrap.resample(truth, e, bootstrap.image_weights(120, 0)) for e in (whole, less))
    delta = bootstrap.delta(less.accuracy.map50_95 - whole.accuracy.map50_95, one.map50_95, other.map50_95)
    assert delta.low < delta.value < delta.high < 0
    recall = bootstrap.delta(less.accuracy.recall - whole.accuracy.recall, one.recall, other.recall)
    assert recall.low < recall.value < recall.high, "each at its own best F1: wide, as that point wanders"


def test_truth_counts_boxes_of_each_class_under_weights():
    labels, found = random_set(4, images=5)
    truth: GroundTruth = as_tables(labels, found)[0]
    doubled = truth.per_class(np.full((5, 1), 2.0))[:, 0]
    assert doubled.tolist() == [2 * int((truth.classes == c).sum()) for c in range(4)]
