"""What to gain: each rule speaks where figures show it, and is silent where they leave doubt."""

from __future__ import annotations

import pytest

from tests.takeaways.views import (
    BF16,
    CHANNELS_LAST,
    INT8,
    LESS,
    LOST,
    OPENVINO,
    ORT,
    PYTORCH,
    SAME,
    TRT,
    TRT_B1,
    UNSURE,
    WHOLE,
    imported,
    measured,
    told,
)

# fastest-without-loss


def test_the_fastest_without_loss_is_not_the_fastest_where_that_one_loses():
    one = told(WHOLE)["fastest-without-loss"]
    assert one.candidates == (OPENVINO,)
    assert one.figures[f"{OPENVINO}:speedup_1x1"] == pytest.approx(2, rel=0.02)


def test_what_is_not_shown_to_be_slower_is_named_beside_the_fastest():
    one = told(measured({PYTORCH: (100, None), ORT: (50, SAME), OPENVINO: (50.05, SAME)}, noise=0.05))
    assert set(one["fastest-without-loss"].candidates) == {ORT, OPENVINO}


@pytest.mark.parametrize(
    "figures",
    [
        {PYTORCH: (100, None), INT8: (20, LOST)},  # rejected
        {PYTORCH: (100, None), INT8: (20, UNSURE)},  # undecided
        {PYTORCH: (100, None), BF16: (20, LESS)},  # accepted, with a loss beyond doubt
        {PYTORCH: (100, None), ORT: (99.99, SAME)},  # not shown to be faster
    ],
)
def test_nobody_is_fastest_without_loss_where_a_figure_leaves_doubt(figures):
    assert "fastest-without-loss" not in told(measured(figures))


# easy-win


def test_an_option_of_the_runtime_that_is_there_is_the_easiest_win():
    one = told(WHOLE)["easy-win"]
    assert one.candidates == (CHANNELS_LAST,)
    assert "no new runtime" in one.text


def test_another_runtime_at_the_same_precision_is_easier_than_fewer_bits():
    assert told(measured({PYTORCH: (100, None), OPENVINO: (60, SAME), BF16: (20, SAME)}))["easy-win"].candidates == (
        OPENVINO,
    )
    assert told(measured({PYTORCH: (100, None), INT8: (20, SAME), BF16: (60, SAME)}))["easy-win"].candidates == (BF16,)


def test_more_effort_must_gain_a_tenth_for_each_step():
    figures = {PYTORCH: (100, None), ORT: (60, SAME), TRT: (57, SAME)}
    assert told(measured(figures))["easy-win"].candidates == (ORT,)
    assert told(measured({**figures, TRT: (40, SAME)}))["easy-win"].candidates == (TRT,)


def test_a_shape_that_serves_a_second_camera_is_an_easier_win_than_a_faster_one_that_does_not():
    one = told(measured({PYTORCH: (100, None), TRT: (50, SAME), TRT_B1: (45, SAME)}))["easy-win"]
    assert one.candidates == (TRT,)
    assert "second camera" in one.text
    alone = told(measured({PYTORCH: (100, None), TRT_B1: (45, SAME)}))["easy-win"]
    assert alone.candidates == (TRT_B1,)
    assert "second camera" not in alone.text


@pytest.mark.parametrize(
    "figures",
    [
        {PYTORCH: (100, None), CHANNELS_LAST: (97, SAME)},  # too little to change anything for
        {PYTORCH: (100, None), CHANNELS_LAST: (50, LOST)},
        {PYTORCH: (100, None), "mystery/unknown/unknown": (20, SAME)},  # nothing known of its precision
    ],
)
def test_no_win_is_easy_without_gain_accuracy_or_knowledge(figures):
    view = measured({key: value for key, value in figures.items() if "unknown" not in key})
    if "mystery/unknown/unknown" in figures:
        view = imported(
            {PYTORCH: {"latency_1x1_ms": 9}, "mystery/unknown/unknown": {"latency_1x1_ms": 3, "map_delta": 0}},
            {"mystery/unknown/unknown": "accepted"},
        )
    assert "easy-win" not in told(view)


def test_without_any_accuracy_the_easy_win_says_so():
    one = told(measured({PYTORCH: (100, None), CHANNELS_LAST: (50, None)}, accuracy=False))["easy-win"]
    assert "accuracy not measured" in one.text


# most-extreme


def test_the_fastest_of_all_is_named_with_its_cost_whatever_the_verdict():
    one = told(WHOLE)["most-extreme"]
    assert one.candidates == (INT8,)
    assert "mAP50-95 -0.1000 [-0.1200, -0.0800]" in one.text
    assert "its accuracy is rejected" in one.text
    assert "calibration images" in one.text


@pytest.mark.parametrize(("ms", "said"), [(100.01, "shown to be faster"), (150, "slower")])
def test_nothing_is_called_fastest_that_is_not_shown_to_beat_the_reference(ms, said):
    one = told(measured({PYTORCH: (100, None), ORT: (ms, SAME)}))["most-extreme"]
    assert one.candidates == ()
    assert said in one.text


def test_a_batch_that_the_fastest_does_not_take_is_said():
    assert "no time at 1x2" in told(measured({PYTORCH: (100, None), TRT_B1: (45, SAME)}))["most-extreme"].text
