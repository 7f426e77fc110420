"""What all rules have in common: order, figures beside the text, escaping, figures of others without intervals."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bakeoff import takeaways
from bakeoff.records import Failure, Takeaway
from bakeoff.view import View
from tests.takeaways.views import BF16, ORT, PYTORCH, SAME, STUDY, TIED, WHOLE, imported, measured, told

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
