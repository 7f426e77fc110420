from __future__ import annotations

from dataclasses import replace

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


def repeated(labels, found, weights):
    """The tables of a dataset in which each image really stands as often as it was drawn."""
    drawn = np.repeat(np.arange(len(labels)), weights.astype(int))
    parts = [np.concatenate((np.full((int((found[:, 0] == i).sum()), 1), n), found[found[:, 0] == i, 1:]), 1)
             for n, i in enumerate(drawn)]  # fmt: skip
    return as_tables([labels[i] for i in drawn], np.concatenate(parts))


@pytest.mark.parametrize("seed", range(3))
def test_weighted_figures_equal_those_of_the_images_repeated(seed):
    """No re-matching: the figures of a resample are those of a dataset in which its images really stand repeatedly."""
    labels, found = random_set(seed, images=12)
    truth, table, geometries = as_tables(labels, found)
    (weights,) = bootstrap.image_weights(12, seed, resamples=4)
    fast = bootstrap.resample(truth, evaluate(truth, table, geometries), [weights])
    for b in range(4):
        tables = repeated(labels, found, weights[:, b])
        evaluation = evaluate(*tables)
        slow = evaluation.accuracy
        assert fast.map50[b] == pytest.approx(slow.map50, abs=1e-9)
        assert fast.map50_95[b] == pytest.approx(slow.map50_95, abs=1e-9)
        for c, metrics in enumerate(slow.per_class):
            assert np.isnan(fast.class_ap50[c, b]) == (metrics.ap50 is None)
            if metrics.ap50 is not None:
                assert fast.class_ap50[c, b] == pytest.approx(metrics.ap50, abs=1e-6)
                assert fast.class_ap50_95[c, b] == pytest.approx(metrics.ap50_95, abs=1e-6)
        once = bootstrap.resample(tables[0], evaluation, [np.ones((tables[0].images, 1))])
        for name in ("precision", "recall", "class_precision", "class_recall"):
            assert getattr(fast, name)[..., b] == pytest.approx(getattr(once, name)[..., 0], abs=1e-9, nan_ok=True)


def test_a_class_absent_from_a_resample_is_nan_there_and_left_out_of_means_and_intervals():
    labels, found = random_set(5, images=12)
    assert len(labels[0].classes)
    labels[0] = replace(labels[0], classes=np.full_like(labels[0].classes, 4))  # the fifth class: one image has it
    truth, table, geometries = as_tables(labels, found, classes=5)
    evaluation = evaluate(truth, table, geometries)
    drawn = np.concatenate(list(bootstrap.image_weights(12, 0)), axis=1)
    samples = bootstrap.resample(truth, evaluation, [drawn])
    absent = drawn[0] == 0
    assert 0 < absent.sum() < len(absent)
    for name in ("class_ap50", "class_ap50_95", "class_precision", "class_recall"):
        per_class = getattr(samples, name)
        assert (np.isnan(per_class[4]) == absent).all()
        mean = getattr(samples, name.replace("class_ap", "map").replace("class_", ""))
        assert mean == pytest.approx(np.nanmean(per_class, axis=0), abs=1e-6)
    low, high = bootstrap.interval(samples.class_recall[4])
    assert (low, high) == pytest.approx(np.percentile(samples.class_recall[4][~absent], [2.5, 97.5]))


def test_no_interval_is_made_up_where_a_class_is_never_there():
    with pytest.raises(ValueError, match="only for classes with true boxes"):
        bootstrap.interval(np.full(1000, np.nan))


def test_the_number_of_threads_and_the_chunks_change_no_figure(monkeypatch):
    truth, table, geometries = as_tables(*random_set(6))
    evaluation = evaluate(truth, table, geometries)
    chunks = list(bootstrap.image_weights(30, 0, resamples=170))
    several = bootstrap.resample(truth, evaluation, chunks)
    monkeypatch.setattr(bootstrap, "usable_cores", lambda: 1)
    one = bootstrap.resample(truth, evaluation, [np.concatenate(chunks, axis=1)])
    for name in ("map50", "map50_95", "precision", "recall", "class_ap50", "class_recall"):
        assert getattr(several, name) == pytest.approx(getattr(one, name), abs=1e-12, nan_ok=True)


def test_on_a_large_set_the_grid_gives_precision_and_recall_themselves():
    truth, table, geometries = as_tables(*random_set(11, images=1500))
    evaluation = evaluate(truth, table, geometries)
    once = bootstrap.resample(truth, evaluation, [np.ones((1500, 1))])
    assert once.precision[0] == pytest.approx(evaluation.accuracy.precision, abs=0.005)
    assert once.recall[0] == pytest.approx(evaluation.accuracy.recall, abs=0.005)


def test_identical_detections_differ_by_exactly_nothing():
    truth, table, geometries = as_tables(*random_set(1))
    samples = bootstrap.resample(truth, evaluate(truth, table, geometries), bootstrap.image_weights(30, 0))
    for name in ("map50", "map50_95", "precision", "recall"):
        delta = bootstrap.delta(0.0, getattr(samples, name), getattr(samples, name))
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


def test_a_class_that_is_lost_has_no_precision_in_any_resampled_set():
    truth, table, geometries = as_tables(*random_set(5, images=40))
    kept = table.where(table.classes != 1)
    samples = bootstrap.resample(truth, evaluate(truth, kept, geometries), bootstrap.image_weights(40, 0))
    assert evaluate(truth, kept, geometries).accuracy.per_class[1].precision == 0
    assert bootstrap.interval(samples.class_precision[1]) == (0, 0)


def test_sets_without_any_true_box_are_left_out():
    labels, found = random_set(6, images=20)
    labels[1:] = [type(labels[0])(classes=one.classes[:0], xywhn=one.xywhn[:0]) for one in labels[1:]]
    truth, table, geometries = as_tables(labels, found)
    samples = bootstrap.resample(truth, evaluate(truth, table, geometries), bootstrap.image_weights(20, 0))
    without = np.concatenate([weights[0] == 0 for weights in bootstrap.image_weights(20, 0)])
    assert len(truth.classes)
    assert (np.isnan(samples.map50_95) == without).all()
