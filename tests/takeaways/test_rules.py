"""Each rule of docs/takeaways.md: a case where it speaks, and one where it must be silent."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff import takeaways
from bakeoff.records import Agreement, Estimate, Failure, OperatingPoint, Shapes, Takeaway
from bakeoff.view import View
from tests.takeaways.views import (
    BF16,
    CHANNELS_LAST,
    INT8,
    LESS,
    LOST,
    MORE,
    OPENVINO,
    ORT,
    PYTORCH,
    SAME,
    TORCHSCRIPT,
    TRT,
    TRT_B1,
    TRT_FP16,
    UNSURE,
    imported,
    measured,
    told,
    trial,
)

FAILED = trial(TRT, failure=Failure(step="load", kind="signal", cause="`<b>` SIGSEGV", reproduce="bakeoff verify m.pt"))
SKIPPED = trial(TRT_FP16, skip="no NVIDIA GPU here; install one")
WHOLE = measured(
    {
        PYTORCH: (100, None), CHANNELS_LAST: (80, SAME), ORT: (60, SAME), OPENVINO: (50, SAME),
        TORCHSCRIPT: (130, SAME), BF16: (30, LESS), INT8: (20, LOST),
    },
    more=(FAILED, SKIPPED),
)  # fmt: skip
TIED = measured({PYTORCH: (100, None), ORT: (50, SAME), OPENVINO: (50.1, SAME), INT8: (40, UNSURE)}, noise=0.05)
STUDY = imported(
    {
        PYTORCH: {"latency_1x1_ms": 11, "map_delta": 0.0},
        ORT: {"latency_1x1_ms": 8, "map_delta": 0.0},
        TRT: {"latency_1x1_ms": 8, "map_delta": 0.0},
        TRT_FP16: {"latency_1x1_ms": 6, "map_delta": -0.001},
        INT8: {"latency_1x1_ms": 5, "map_delta": -0.008},
        TORCHSCRIPT: {"latency_1x1_ms": 12, "map_delta": 0.0},
    },
    {ORT: "accepted", TRT: "accepted", TRT_FP16: "accepted", INT8: "recommended", TORCHSCRIPT: "rejected"},
)


def estimate(value, low, high):
    return Estimate(value=value, low=low, high=high)


def point(*delta):
    some = estimate(0.9, 0.88, 0.92)
    return OperatingPoint(
        confidence=0.4, given=False, precision=some, recall=some, f1=some, false_alarms_per_image=some,
        misses_per_image=some, deltas={"recall": estimate(*delta)},
    )  # fmt: skip


# what a Run says as a whole


def test_a_run_says_what_its_rules_say_in_their_order():
    rules = [one.rule for one in takeaways.draw(WHOLE)]
    assert rules == [rule for rule in takeaways.RULES if rule in rules]
    assert set(rules) == {
        "fastest-without-loss", "easy-win", "balance", "most-extreme", "second-camera", "avoid-loss", "avoid-slow",
        "avoid-dominated", "avoid-failed", "not-measured",
    }  # fmt: skip


@pytest.mark.parametrize("view", [WHOLE, TIED, STUDY], ids=["whole", "tied", "study"])
@settings(max_examples=4, deadline=None)
@given(data=st.data())
def test_the_order_of_rows_changes_no_takeaway(view, data):
    run = view.run
    order = data.draw(st.permutations(range(len(view.lines))))
    moved = msgspec.structs.replace(
        run, trials=tuple(run.trials[i] for i in order), verdicts=tuple(run.verdicts[i] for i in reversed(order))
    )
    assert takeaways.draw(View.make(moved, view.timings)) == takeaways.draw(view)


def test_every_figure_in_the_text_stands_in_the_figures():
    limited = measured(
        {PYTORCH: (100, None), ORT: (50, SAME), BF16: (30, SAME)}, latency_budget_ms=40, max_size_bytes=9_000_000
    )
    count = 0
    for one in (one for view in (WHOLE, TIED, STUDY, limited) for one in takeaways.draw(view)):
        text = re.sub(r"`[^`]*`|mAP50-95|\d+x\d+", "", one.text)
        for shown in re.findall(r"[-+]?\d+(?:\.\d+)?", text):
            digits = len(shown.partition(".")[2])
            kept = {format(value, f".{digits}f").replace("-0.0000", "0.0000") for value in one.figures.values()}
            assert shown.lstrip("+") in kept, (one.rule, shown, one.text)
            count += 1
    assert count > 40


def test_text_from_outside_stands_between_backticks_and_holds_none():
    (one,) = [one for one in takeaways.draw(WHOLE) if one.rule == "avoid-failed"]
    assert "(`load: '<b>' SIGSEGV`, reproduce with `bakeoff verify m.pt`)" in one.text


def test_a_run_whose_reference_failed_has_none():
    run = WHOLE.run
    broken = msgspec.structs.replace(run.trials[0], failure=Failure(step="load", kind="error", cause="no"))
    assert takeaways.draw(View.make(msgspec.structs.replace(run, trials=(broken, *run.trials[1:])), {})) == ()


def test_saved_ones_are_read_and_an_older_run_gets_its_own():
    saved = (Takeaway(rule="old", candidates=(), text="what it said then"),)
    assert takeaways.of(View.make(msgspec.structs.replace(WHOLE.run, takeaways=saved), {})) == saved
    assert takeaways.of(WHOLE) == takeaways.draw(WHOLE)


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


# balance


def test_the_balance_is_the_knee_of_the_front():
    figures = {PYTORCH: (100, None), ORT: (60, SAME), BF16: (35, (-0.001, -0.0015, -0.0005)), INT8: (25, LESS)}
    one = told(measured(figures))["balance"]
    assert one.candidates == (BF16,)
    assert one.text.startswith("Best balance")
    assert one.figures[f"{BF16}:above_chord"] > 0.3


def test_of_two_ends_neither_is_called_the_balance():
    one = told(measured({PYTORCH: (100, None), ORT: (60, MORE), BF16: (35, LESS)}))["balance"]
    assert one.candidates == (ORT, BF16)
    assert one.text.startswith("No middle stands out")


def test_one_that_is_fastest_and_not_less_accurate_leaves_nothing_to_trade():
    one = told(measured({PYTORCH: (100, None), ORT: (60, SAME), OPENVINO: (35, SAME)}))["balance"]
    assert one.candidates == (OPENVINO,)
    assert "Nothing to trade" in one.text


def test_a_gain_of_accuracy_within_its_interval_is_no_point_of_the_front():
    noise = (0.006, -0.004, 0.016)
    one = told(measured({PYTORCH: (100, None), ORT: (60, noise), OPENVINO: (35, SAME)}))["balance"]
    assert one.candidates == (OPENVINO,)


def test_there_is_no_balance_of_one():
    assert "balance" not in told(measured({PYTORCH: (100, None), ORT: (60, SAME)}))


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


# second-camera


def test_a_second_camera_is_told_of_the_recommended_one_both_ways():
    one = told(WHOLE)["second-camera"]
    assert one.candidates == (BF16,)
    assert "as one batch of two (5" in one.text


def test_no_second_camera_is_told_of_one_that_was_not_timed_both_ways():
    assert "second-camera" not in told(measured({TRT_B1: (100, None), "onnxruntime/fp32/b1": (60, SAME)}))


def test_a_tune_tells_its_second_camera_itself():
    run = msgspec.structs.replace(WHOLE.run, shapes=(Shapes(key=OPENVINO),))
    assert "second-camera" not in told(View.make(run, WHOLE.timings))


# what to avoid


def test_a_rejected_one_is_to_be_avoided_with_its_loss_and_the_margin():
    one = told(WHOLE)["avoid-loss"]
    assert one.candidates == (INT8,)
    assert "-0.1000 [-0.1200, -0.0800], 0.01 is allowed" in one.text
    assert one.figures["max_map_drop"] == 0.01


def test_a_recall_lost_is_a_reason_too():
    fields = {ORT: {"operating_point": point(-0.1, -0.12, -0.08)}}
    one = told(measured({PYTORCH: (100, None), ORT: (50, SAME)}, fields=fields, max_recall_drop=0.02))["avoid-loss"]
    assert "recall -0.1000 [-0.1200, -0.0800], 0.02 is allowed" in one.text


def test_what_is_slower_beyond_doubt_is_named():
    assert told(WHOLE)["avoid-slow"].candidates == (TORCHSCRIPT,)
    assert "avoid-slow" not in told(measured({PYTORCH: (100, None), ORT: (100.05, SAME)}, noise=0.05))


def test_nothing_speaks_for_one_that_another_beats_in_all():
    one = told(WHOLE)["avoid-dominated"]
    assert one.candidates == (ORT, TORCHSCRIPT)
    assert f"`{OPENVINO}` is 1.2" in one.text


@pytest.mark.parametrize(
    "better",
    [
        (TRT, 40, SAME),  # takes more effort
        (BF16, 40, SAME),  # computes in fewer bits
        (OPENVINO, 40, LESS),  # loses
        (OPENVINO, 59.99, SAME),  # not shown to be faster
        ("openvino/fp32/b1", 40, SAME),  # takes no batch
    ],
)
def test_easier_safer_or_no_slower_is_reason_enough_to_be_chosen(better):
    key, ms, delta = better
    assert "avoid-dominated" not in told(measured({PYTORCH: (100, None), ORT: (60, SAME), key: (ms, delta)}))


def test_what_failed_is_named_and_what_was_skipped_has_its_cure():
    assert told(WHOLE)["avoid-failed"].candidates == (TRT,)
    assert told(WHOLE)["not-measured"].candidates == (TRT_FP16,)
    assert "`no NVIDIA GPU here; install one`" in told(WHOLE)["not-measured"].text
    quiet = told(measured({PYTORCH: (100, None), ORT: (60, SAME)}))
    assert not {"avoid-failed", "not-measured", "avoid-loss", "avoid-slow"} & set(quiet)


def test_those_skipped_for_one_reason_are_named_together():
    also = trial(TRT, skip=SKIPPED.skip)
    one = told(measured({PYTORCH: (100, None)}, more=(SKIPPED, also)))["not-measured"]
    assert one.text.count("NVIDIA") == 1
    assert one.candidates == (TRT_FP16, TRT)


# over-limit


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"latency_budget_ms": 40.0}, "p50 50.0 ms, 40 ms is allowed"),
        ({"latency_budget_ms": 40.0, "percentile": 99.0}, "p99 not shown to be within 40 ms"),
        ({"max_size_bytes": 9_000_000}, "size 10.0 MB, 9.0 MB is allowed"),
        ({"max_memory_bytes": 100_000_000}, "memory 200.0 MB, 100.0 MB is allowed"),
    ],
)
def test_an_accurate_one_over_a_limit_is_named_with_both_figures(asked, said):
    fields = {ORT: {"peak_memory_bytes": 200_000_000}}
    figures = {PYTORCH: (100, None), ORT: (50, SAME), BF16: (30, SAME)}
    one = told(measured(figures, fields=fields, **asked))["over-limit"]
    assert ORT in one.candidates
    assert said.replace("50.0", "") in one.text.replace("50.0", "").replace("49.9", "").replace("50.1", "")


def test_no_limit_is_broken_where_none_was_asked_for():
    assert "over-limit" not in told(WHOLE)


# what could not be told


def test_an_undecided_one_says_how_many_images_would_tell():
    one = told(measured({PYTORCH: (100, None), INT8: (40, UNSURE)}))["undecided"]
    assert one.candidates == (INT8,)
    assert one.figures[f"{INT8}:images_needed:map_delta"] == 6250
    assert "about 6250 images like these would tell (250 were there)" in one.text
    assert "undecided" not in told(WHOLE)


def test_one_that_stands_on_the_margin_promises_no_number_of_images():
    text = told(measured({PYTORCH: (100, None), INT8: (40, (-0.01, -0.02, 0.0))}))["undecided"].text
    assert "25000 images might not tell" in text


def test_without_labels_labels_would_tell():
    some = estimate(0.99, 0.98, 1.0)
    agreement = Agreement(
        confidence=0.25, reference_boxes=9, boxes=9, matched_share=some, mean_iou=some, score_shift=some,
        class_flips=some,
    )  # fmt: skip
    fields = {ORT: {"agreement": agreement, "accuracy": None}}
    assert "labels of these images would tell" in told(
        measured({PYTORCH: (100, None), ORT: (50, None)}, fields=fields)
    )["undecided"].text  # fmt: skip


def test_a_tie_says_how_far_apart_at_most_and_how_many_rounds_would_tell():
    one = told(measured({PYTORCH: (100, None), ORT: (50, SAME), OPENVINO: (50.4, SAME)}, noise=0.05))["tied"]
    assert set(one.candidates) == {ORT, OPENVINO}
    assert "% apart" in one.text
    assert "24 there were" in one.text or "(24 were there)" in one.text
    assert "tied" not in told(WHOLE)


# somebody else's figures


def test_figures_without_interval_are_taken_at_their_value_and_said_to_have_none():
    view = imported(
        {
            PYTORCH: {"latency_1x1_ms": 10, "val_map50_95": 0.6},
            ORT: {"latency_1x1_ms": 5, "val_map50_95": 0.6},
            BF16: {"latency_1x1_ms": 20, "val_map50_95": 0.5},
        },
        {ORT: "recommended", BF16: "rejected"},
    )
    found = told(view)
    assert next(iter(found)) == "no-intervals"
    assert "2.00 times (no interval)" in found["fastest-without-loss"].text
    assert "mAP50-95 +0.0000 (no interval)" in found["fastest-without-loss"].text
    assert found["avoid-loss"].candidates == found["avoid-slow"].candidates == (BF16,)
    assert "mAP50-95 -0.1000 (no interval)" in found["avoid-loss"].text


def test_equal_medians_are_a_tie_and_no_win():
    rows = {PYTORCH: {"latency_1x1_ms": 10, "map_delta": 0}, ORT: {"latency_1x1_ms": 10, "map_delta": 0}}
    found = told(imported(rows, {ORT: "accepted"}))
    assert not {"fastest-without-loss", "easy-win", "avoid-slow"} & set(found)


def test_an_interval_that_the_table_gives_is_kept_to():
    row = {"speedup_1x1": 1.2, "speedup_1x1_low": 0.9, "speedup_1x1_high": 1.6, "map_delta": 0.0}
    found = told(imported({PYTORCH: {"latency_1x1_ms": 10}, ORT: row}, {ORT: "accepted"}))
    assert "fastest-without-loss" not in found


def test_measured_figures_without_an_interval_show_nothing():
    view = measured({PYTORCH: (100, None), ORT: (50, SAME)}, rounds=2)
    assert view.lines[1].speedups["1x1"].low is None
    assert "fastest-without-loss" not in told(view)


def test_a_measured_run_does_not_say_that_intervals_are_missing():
    assert "no-intervals" not in told(WHOLE)
