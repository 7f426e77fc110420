"""What to mind: a second camera, losses, what is slower, what failed, limits."""

from __future__ import annotations

import re

import msgspec
import pytest

from bakeoff.records import Shapes
from bakeoff.view import View
from tests.takeaways.views import (
    BF16,
    INT8,
    OPENVINO,
    ORT,
    PYTORCH,
    SAME,
    SKIPPED,
    TORCHSCRIPT,
    TRT,
    TRT_B1,
    TRT_FP16,
    WHOLE,
    measured,
    point,
    told,
    trial,
)

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
        ({"latency_budget_ms": 40.0}, r"p50 (49|50)\.\d ms, 40 ms is allowed"),
        ({"latency_budget_ms": 40.0, "percentile": 99.0}, "p99 not shown to be within 40 ms"),
        ({"max_size_bytes": 9_000_000}, r"size 10\.0 MB, 9\.0 MB is allowed"),
        ({"max_memory_bytes": 100_000_000}, r"memory 200\.0 MB, 100\.0 MB is allowed"),
    ],
)
def test_an_accurate_one_over_a_limit_is_named_with_both_figures(asked, said):
    fields = {ORT: {"peak_memory_bytes": 200_000_000}}
    figures = {PYTORCH: (100, None), ORT: (50, SAME), BF16: (30, SAME)}
    one = told(measured(figures, fields=fields, **asked))["over-limit"]
    assert ORT in one.candidates
    assert re.search(said, one.text)


def test_no_limit_is_broken_where_none_was_asked_for():
    assert "over-limit" not in told(WHOLE)
