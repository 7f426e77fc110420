"""Somebody else's figures: judged by their values alone, and it is said that there is no interval."""

from __future__ import annotations

import itertools

import pytest

from bakeoff.judge import judge, nearest_miss
from bakeoff.records import Candidate, Requirements, Trial
from tests.test_judge_miss import record

REFERENCE = "a/fp32/dyn"


def given(name: str, **figures: float) -> Trial:
    return Trial(candidate=Candidate(backend=name, precision="fp32", shape="dyn"), reported=figures)


A = given("a", val_map50_95=0.60, val_map50=0.9, latency_1x1_ms=20, latency_1x1_p95_ms=25, size_bytes=9e6)
B = given("b", val_map50_95=0.595, latency_1x1_ms=10, latency_1x1_p95_ms=19, size_bytes=8e6, peak_memory_bytes=3e8)
C = given("c", val_map50_95=0.50, latency_1x1_ms=5, latency_1x1_p95_ms=6, size_bytes=3e6)
D = given("d", val_map50_95=0.60, latency_1x1_ms=12, latency_1x1_p95_ms=13, size_bytes=4e6)


def verdicts(*trials: Trial, **asked):
    return {v.key[0]: v for v in judge(trials, REFERENCE, {}, Requirements(**asked))}


def test_the_best_of_those_whose_loss_is_within_the_margin_is_recommended():
    found = verdicts(A, B, C, D)
    assert {name: one.verdict for name, one in found.items()} == dict(
        a="reference", b="recommended", c="rejected", d="accepted"
    )
    assert found["b"].why == "mAP50-95 -0.0050, no interval: loses less than 0.01"
    assert found["c"].why == "mAP50-95 -0.1000, no interval: loses more than 0.01"
    assert all("no interval" in found[name].why for name in "bcd")
    assert not any(one.chances for one in found.values())


@pytest.mark.parametrize(("prefer", "best"), [("latency", "b"), ("throughput", "b"), ("accuracy", "e"), ("size", "d")])
def test_the_preference_chooses_by_what_it_says(prefer, best):
    e = given("e", val_map50_95=0.61, latency_1x1_ms=15, size_bytes=5e6)
    found = verdicts(A, B, C, D, e, prefer=prefer)
    assert [name for name, one in found.items() if one.verdict == "recommended"] == [best]


def test_limits_are_met_by_values_and_only_known_figures_have_a_chance():
    found = verdicts(A, B, C, D, latency_budget_ms=15, percentile=95, max_size_bytes=8 * 10**6)
    assert found["b"].verdict == "accepted"
    assert "p95 of 19 ms, no interval: not within 15 ms" in found["b"].why
    assert found["d"].verdict == "recommended"
    assert found["d"].chances == {"max-size": 1}
    assert found["a"].chances == {"max-size": 0}
    memory = verdicts(A, B, D, max_memory_bytes=10**9)
    assert (memory["b"].verdict, memory["d"].verdict) == ("recommended", "accepted")
    assert memory["b"].chances == {"max-memory": 1}
    assert memory["d"].chances == {}


def test_a_percentile_that_is_not_given_is_not_met():
    found = verdicts(A, B, latency_budget_ms=1000, percentile=99)
    assert found["b"].verdict == "accepted"
    assert "p99 not shown to be within 1000 ms: it is not given; no interval" in found["b"].why


@pytest.mark.parametrize(
    ("own", "said", "verdict"),
    [
        ({"map_delta": -0.02, "val_map50_95": 0.6}, "mAP50-95 -0.0200, no interval: loses more", "rejected"),
        ({"val_map50": 0.895}, "mAP50 -0.0050, no interval (mAP50-95 is not given): loses less", "recommended"),
        ({"recall_delta": -0.5}, "recall -0.5000, no interval (mAP50-95 is not given): loses more", "rejected"),
        ({"val_map50_95": 0.59}, "mAP50-95 -0.0100, no interval: loses exactly 0.01", "undecided"),
        ({}, "neither mAP nor recall is given, nor its difference to the reference's; no interval", ""),
    ],
)
def test_the_loss_is_of_map50_95_or_of_what_is_given_in_its_place(own, said, verdict):
    found = verdicts(A, given("b", latency_1x1_ms=1, **own))["b"]
    assert found.verdict == verdict
    assert said in found.why


def test_a_recall_margin_needs_recall():
    recall = given("b", val_map50_95=0.6, op_recall_delta=-0.1, latency_1x1_ms=1)
    assert verdicts(A, recall, max_recall_drop=0.05)["b"].verdict == "rejected"
    found = verdicts(A, B, max_recall_drop=0.05)["b"]
    assert found.verdict == "undecided"
    assert "recall is not given; no interval" in found.why


def test_equal_figures_tie_and_the_order_of_rows_changes_nothing():
    e = given("e", val_map50_95=0.60, latency_1x1_ms=10)
    f = given("f", val_map50_95=0.595, latency_1x1_ms=10)
    said = set()
    for order in itertools.permutations((A, B, e, f)):
        found = verdicts(*order)
        said.add(tuple((name, found[name].verdict, found[name].tied_with) for name in "abef"))
    assert said == {(
        ("a", "reference", ()), ("b", "accepted", ("e/fp32/dyn",)), ("e", "recommended", ("b/fp32/dyn", "f/fp32/dyn")),
        ("f", "accepted", ("e/fp32/dyn",)),
    )}, "e loses the least of the three"  # fmt: skip


def test_nothing_is_recommended_where_nothing_beats_the_reference():
    assert verdicts(A, given("b", val_map50_95=0.6, latency_1x1_ms=20))["b"].verdict == "accepted"
    assert verdicts(A, given("b", val_map50_95=0.6, speedup_1x1=0.9))["b"].verdict == "accepted"
    assert verdicts(A, given("b", val_map50_95=0.6, speedup_1x1=1.1))["b"].verdict == "recommended"
    bare = given("a", val_map50_95=0.6)
    assert verdicts(bare, given("b", val_map50_95=0.6, speedup_1x1=0.9))["b"].verdict == "accepted"
    assert verdicts(bare, given("b", val_map50_95=0.6, speedup_1x1=1.1))["b"].verdict == "recommended"


def test_throughput_is_that_given_or_that_of_a_closed_loop():
    batch = given("b", val_map50_95=0.6, latency_1x1_ms=10, latency_1x2_ms=12)
    streams = given("d", val_map50_95=0.6, latency_1x1_ms=9, latency_2x1_ms=13)
    assert verdicts(A, batch, streams, prefer="throughput")["b"].verdict == "recommended"
    said = given("e", val_map50_95=0.6, frames_per_s_1x1=5)
    assert verdicts(A, batch, said, prefer="throughput")["e"].verdict == "recommended", "all by the same figure"


def test_the_nearest_miss_is_told_without_a_chance():
    found = nearest_miss(record((A, B, C, D), timings={}, latency_budget_ms=9.0), {})
    assert found.key == "b/fp32/dyn"
    assert found.words == (
        "The nearest miss is `b/fp32/dyn`: p50 of 10 ms, no interval against --latency-budget 9 ms (1 ms over). "
        "It would meet `--latency-budget 10.00`."
    )
