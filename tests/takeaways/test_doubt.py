"""What could not be told, and what would tell it."""

from __future__ import annotations

from bakeoff.records import Agreement
from tests.takeaways.views import INT8, OPENVINO, ORT, PYTORCH, SAME, UNSURE, WHOLE, estimate, measured, told


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
