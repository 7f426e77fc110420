"""The balance of accuracy and speed, and what another one beats in all."""

from __future__ import annotations

import pytest

from tests.takeaways.views import (
    BF16,
    INT8,
    LESS,
    MORE,
    OPENVINO,
    ORT,
    PYTORCH,
    SAME,
    TORCHSCRIPT,
    TRT,
    WHOLE,
    measured,
    told,
)

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


# avoid-dominated


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
