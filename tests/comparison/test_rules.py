from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.comparison.rules import OPERATORS, parse
from bakeoff.errors import InputError
from bakeoff.report.table import COLUMNS

TESTED = ("latency_1x1_ms", "val_map50_95")


def read(text: str):
    return parse(text, COLUMNS, TESTED)


@pytest.mark.parametrize(
    ("text", "column", "limit", "relative", "change"),
    [
        ("latency_1x1_ms > +5%", "latency_1x1_ms", 0.05, True, False),
        ("latency_1x1_ms>-5 %", "latency_1x1_ms", -0.05, True, False),
        ("map_delta_high < -0.01", "map_delta_high", -0.01, False, False),
        ("size_bytes > 20000000", "size_bytes", 2e7, False, False),
        ("size_bytes >= 2e7", "size_bytes", 2e7, False, False),
        ("change of val_map50_95 < -0.005", "val_map50_95", -0.005, False, True),
        ("change  of latency_1x1_ms > 2", "latency_1x1_ms", 2, False, True),
        (" latency_1x1_ms > .5 ", "latency_1x1_ms", 0.5, False, False),
    ],
)
def test_a_number_is_bs_own_value_a_percentage_a_change_and_a_difference_is_asked_for(
    text, column, limit, relative, change
):
    rule = read(text)
    assert (rule.column, rule.relative, rule.change) == (column, relative, change)
    assert rule.limit == pytest.approx(limit)
    assert rule.pattern == "*"
    assert not rule.surely


def test_a_pattern_and_surely_come_first():
    rule = read("openvino/*: surely latency_1x1_ms > +5%")
    assert rule.pattern == "openvino/*"
    assert rule.surely
    assert rule.covers("openvino/fp32/dyn")
    assert not rule.covers("onnxruntime/fp32/dyn")
    assert read("[!p]*/fp32/*: size_bytes > 2").covers("onnxruntime/fp32/dyn")
    assert not read("[!p]*/fp32/*: size_bytes > 2").covers("pytorch/fp32/dyn")


def test_text_is_compared_as_text_quoted_or_not():
    assert read("status != ok").breaks("failed")
    assert not read("status != 'ok'").breaks("ok")
    assert read('verdict == "rejected"').limit == "rejected"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("latency_1x1 > +5%", "no column 'latency_1x1'; did you mean 'latency_1x1_ms'?"),
        ("latency_1x1_ms > 5%", "has a sign, such as .5% or -5%"),
        ("latency_1x1_ms > +5", "'change of latency_1x1_ms > .5'"),
        ("val_map50_95 < -0.005", "never below 0.*'change of val_map50_95 < -0.005'"),
        ("change of latency_1x1_ms > +5%", "leave out 'change of'"),
        ("map_delta < -5%", "ask for 'change of map_delta'"),
        ("surely size_bytes > +5%", "no interval is known of a change of size_bytes; .*latency_1x1_ms, val_map50_95"),
        ("surely latency_1x1_ms > 30", "ask for its bound"),
        ("surely latency_1x1_ms == +5%", "'surely' goes with"),
        ("status > 3", "status is text"),
        ("change of status == ok", "status is text"),
        ("size_bytes > many", "'many' is no number"),
        ("size_bytes > 1e999", "no number"),
        ("size_bytes > ", "can't be read"),
        ("size_bytes", "can't be read"),
        ("", "can't be read"),
        ("size_bytes = 3", "can't be read"),
    ],
)
def test_what_is_no_rule_is_refused_with_what_to_write(text, says):
    with pytest.raises(InputError, match=says) as refused:
        read(text)
    assert "\n" not in str(refused.value)


PIECES = [
    "openvino/*",
    ":",
    " ",
    "surely",
    "change of",
    *COLUMNS[:20],
    *OPERATORS,
    "+",
    "-",
    "5",
    ".",
    "e9",
    "%",
    "ok",
    "\n",
]


@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=8).map(" ".join)))
def test_whatever_is_given_is_a_rule_or_one_line_that_refuses_it(text):
    rule, refused = None, "not refused"
    try:
        rule = read(text)
    except InputError as error:
        refused = str(error)
    assert refused.isprintable()
    if rule is not None:
        assert rule.column in COLUMNS
        assert rule.operator in OPERATORS
