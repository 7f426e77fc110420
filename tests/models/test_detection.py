from __future__ import annotations

import numpy as np
import pytest

from bakeoff.models.tasks.detection import DEPLOYED, SCORED, Thresholds, decode, timed


def head(rng: np.random.Generator, classes: int, anchors: int) -> np.ndarray:
    """Raw output with crowds of overlapping boxes, as a network gives."""
    centre = rng.uniform(50, 590, (40, 2))[rng.integers(0, 40, anchors)] + rng.normal(0, 4, (anchors, 2))
    wh = rng.uniform(20, 80, (anchors, 2))
    scores = rng.beta(0.3, 3, (anchors, classes))
    return np.concatenate((centre, wh, scores), 1).T.astype(np.float32)


def slow(output: np.ndarray, thresholds: Thresholds) -> np.ndarray:
    """The obvious way: one box after the other."""
    rows = []
    for x, y, w, h, *scores in output.T.astype(np.float64):
        for c, score in enumerate(scores):
            wanted = score > thresholds.confidence and (thresholds.multi_label or c == int(np.argmax(scores)))
            if wanted:
                rows.append((x - w / 2, y - h / 2, x + w / 2, y + h / 2, score, c))
    rows.sort(key=lambda row: -row[4])
    kept = []
    for row in rows:
        for other in kept:
            if other[5] == row[5]:
                w = min(row[2], other[2]) - max(row[0], other[0])
                h = min(row[3], other[3]) - max(row[1], other[1])
                shared = max(w, 0) * max(h, 0)
                areas = [(r[2] - r[0]) * (r[3] - r[1]) for r in (row, other)]
                if shared / (sum(areas) - shared) > thresholds.iou:
                    break
        else:
            kept.append(row)
    return np.array(kept[:300])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("thresholds", [SCORED, timed(), Thresholds(confidence=0.05, iou=0.3, multi_label=True)])
def test_suppression_equals_the_obvious_loop(seed, thresholds):
    output = head(np.random.default_rng(seed), classes=3, anchors=400)
    found, expected = decode(output, thresholds), slow(output, thresholds)
    assert len(found) == len(expected) > 10
    assert np.array_equal(found.classes, expected[:, 5])
    assert found.scores == pytest.approx(expected[:, 4])
    assert found.xyxy == pytest.approx(expected[:, :4], abs=1e-3)


@pytest.mark.parametrize("thresholds", [SCORED, timed()])
def test_detections_equal_those_of_ultralytics(thresholds):
    torch = pytest.importorskip("torch")
    nms = pytest.importorskip("ultralytics.utils.nms")
    output = head(np.random.default_rng(9), classes=6, anchors=3000)
    theirs = nms.non_max_suppression(
        torch.from_numpy(output[None].copy()), thresholds.confidence, thresholds.iou,
        multi_label=thresholds.multi_label, max_det=300,
    )[0].numpy()  # fmt: skip
    ours = decode(output, thresholds)
    assert np.array_equal(ours.scores, theirs[:, 4])
    assert np.array_equal(ours.classes, theirs[:, 5])
    assert ours.xyxy == pytest.approx(theirs[:, :4], abs=1e-3)


def test_nothing_above_the_threshold_gives_nothing():
    found = decode(np.zeros((6, 100), np.float32), SCORED)
    assert len(found) == 0
    assert found.xyxy.shape == (0, 4)


def test_boxes_of_different_classes_never_suppress_each_other():
    output = np.array([[50], [50], [20], [20], [0.9], [0.8]], np.float32)
    assert len(decode(output, SCORED)) == 2
    assert decode(output, timed()).classes.tolist() == [0]


def test_not_a_number_yields_no_detection():
    output = head(np.random.default_rng(0), classes=2, anchors=50)
    output[4:] = np.nan
    assert len(decode(output, SCORED)) == 0


@pytest.mark.parametrize("seed", range(5))
def test_a_confidence_cuts_off_the_end_of_what_is_kept_for_deployment_and_no_more(seed):
    rng = np.random.default_rng(seed)
    head = rng.uniform(0, 1, (4 + 3, 60)).astype(np.float32)
    head[:2] *= 100
    head[2:4] = head[2:4] * 40 + 20
    kept = decode(head, DEPLOYED)
    for confidence in (0.3, 0.6, 0.9):
        shown = decode(head, timed(confidence))
        cut = kept.scores > confidence
        assert (shown.xyxy == kept.xyxy[cut]).all()
        assert (shown.classes == kept.classes[cut]).all()
