from __future__ import annotations

import dataclasses
import itertools

import msgspec
import numpy as np
import pytest

from bakeoff.errors import InputError
from bakeoff.judge import judge, margin_verdict
from bakeoff.records import (
    Accuracy,
    Artifact,
    ArtifactFile,
    Candidate,
    Estimate,
    Failure,
    OperatingPoint,
    Requirements,
    Trial,
)
from bakeoff.speed.samples import WorkloadSamples

REFERENCE = "a/fp32/dyn"


def trial(name: str, delta: tuple[float, float, float] | None = None, size: int = 10, **fields) -> Trial:
    accuracy = Accuracy(
        images=250, boxes=9, detections=9, precision=0.9, recall=0.9, map50=0.9, confidence=0.4, per_class=(), coco={},
        map50_95=0.6 + (delta[0] if delta else 0),
    )  # fmt: skip
    return Trial(
        candidate=Candidate(backend=name, precision="fp32", shape="dyn"),
        accuracy=accuracy,
        map_delta=None if delta is None else Estimate(value=delta[0], low=delta[1], high=delta[2]),
        artifact=Artifact(folder="", files=(ArtifactFile(path="x", sha256="", size_bytes=size),)),
        **fields,
    )


def timing(latency_ms: float, seed: int, noise: float = 0.01) -> WorkloadSamples:
    rng = np.random.default_rng(seed)
    run = (latency_ms * 1e6 * np.exp(rng.normal(0, noise, (40, 1, 1))) * np.ones((40, 1, 4))).astype(np.int64)
    zero = np.zeros_like(run)
    return WorkloadSamples(
        generation=np.zeros(40, np.int32), round=np.arange(40, dtype=np.int32),
        pre_ns=zero, run_ns=run, post_ns=zero, span_ns=run.sum(2),
        rest_ns=np.zeros(40, np.int64), window=np.full(40, -1),
    )  # fmt: skip


def verdicts(trials, latencies, **requirements):
    timings = {(t.candidate.key, "1x1"): timing(latencies[t.candidate.backend], i) for i, t in enumerate(trials)
               if t.candidate.backend in latencies}  # fmt: skip
    result = judge(trials, REFERENCE, timings, Requirements(**requirements))
    return {verdict.key.partition("/")[0]: verdict for verdict in result}


FINE, LOST, UNSURE = (0.0, -0.002, 0.002), (-0.1, -0.12, -0.08), (-0.01, -0.03, 0.01)


@pytest.mark.parametrize(
    ("delta", "verdict"),
    [
        ((0.0, -0.0099, 0.02), "accepted"),
        ((0.0, -0.01, 0.02), "undecided"),
        ((-0.02, -0.03, -0.0101), "rejected"),
        ((-0.02, -0.03, -0.01), "undecided"),
    ],
)
def test_the_margin_accepts_only_above_and_rejects_only_below(delta, verdict):
    assert margin_verdict("mAP50-95", Estimate(value=delta[0], low=delta[1], high=delta[2]), 0.01)[0] == verdict


@pytest.mark.parametrize(
    ("delta", "says"),
    [
        ((0.0, -0.02, 0.02), "about 1000 images"),  # half width twice the distance: four times the images
        ((-0.02, -0.03, 0.0), "about 1000 images"),
        ((-0.0101, -0.03, 0.01), "so close to the margin"),
    ],
)
def test_undecided_says_about_how_many_images_would_decide(delta, says):
    verdict, why = margin_verdict("mAP50-95", Estimate(value=delta[0], low=delta[1], high=delta[2]), 0.01, images=250)
    assert verdict == "undecided"
    assert says in why


def test_the_fastest_accepted_candidate_is_recommended_not_the_fastest():
    found = verdicts([trial("a"), trial("b", FINE), trial("c", LOST), trial("d", UNSURE)], dict(a=10, b=5, c=1, d=2))
    assert [found[name].verdict for name in "abcd"] == ["reference", "recommended", "rejected", "undecided"]
    assert found["b"].tied_with == ()


def test_a_tie_is_named_on_both_sides_and_only_one_is_recommended():
    found = verdicts([trial("a"), trial("b", FINE), trial("c", FINE), trial("d", FINE)], dict(a=10, b=5, c=5, d=8))
    assert sorted(found[name].verdict for name in "bcd") == ["accepted", "accepted", "recommended"]
    assert {found["b"].tied_with, found["c"].tied_with} == {("c/fp32/dyn",), ("b/fp32/dyn",)}
    assert found["d"].tied_with == ()


def test_nothing_is_recommended_where_the_reference_is_the_fastest():
    found = verdicts([trial("a"), trial("b", FINE)], dict(a=5, b=10))
    assert found["b"].verdict == "accepted"
    assert found["a"].verdict == "reference"


def test_a_latency_budget_rules_out_whom_it_rules_out_at_its_percentile():
    trials = [trial("a"), trial("b", FINE), trial("c", FINE)]
    assert verdicts(trials, dict(a=10, b=5, c=7), latency_budget_ms=4)["b"].verdict == "accepted"
    assert verdicts(trials, dict(a=10, b=5, c=7), latency_budget_ms=6)["b"].verdict == "recommended"
    assert verdicts(trials, dict(a=10, b=5, c=7), latency_budget_ms=5, percentile=99)["b"].verdict == "accepted"


def test_preferences_choose_by_what_they_say():
    trials = [trial("a", size=10), trial("b", FINE, size=9), trial("c", (0.03, 0.02, 0.04), size=8)]
    times = dict(a=10, b=5, c=6)
    assert verdicts(trials, times)["b"].verdict == "recommended"
    assert verdicts(trials, times, prefer="size")["c"].verdict == "recommended"
    assert verdicts(trials, times, prefer="accuracy")["c"].verdict == "recommended"
    assert verdicts(trials, times, prefer="throughput")["b"].verdict == "recommended"
    with pytest.raises(InputError, match="'speed' is not one of"):
        verdicts(trials, times, prefer="speed")


def test_failed_and_skipped_trials_get_no_verdict():
    trials = [trial("a"), trial("b", FINE, failure=Failure(step="time", kind="signal", cause="SIGSEGV")),
              trial("c", FINE, skip="not here")]  # fmt: skip
    found = verdicts(trials, dict(a=10, b=1, c=1))
    assert (found["b"].verdict, found["c"].verdict) == ("", "")


def test_the_order_of_candidates_changes_no_verdict():
    trials = [trial("a"), trial("b", FINE), trial("c", FINE), trial("d", LOST)]
    timings = {
        (t.candidate.key, "1x1"): timing(ms, i) for i, (t, ms) in enumerate(zip(trials, (10, 5, 5.1, 2), strict=True))
    }
    results = set()
    for order in itertools.permutations(trials):
        found = judge(order, REFERENCE, timings, Requirements())
        results.add(tuple(sorted((v.key, v.verdict, v.tied_with) for v in found)))
    assert len(results) == 1


def test_a_handful_of_images_decides_nothing():
    few = trial("b", FINE)
    few = msgspec.structs.replace(few, accuracy=msgspec.structs.replace(few.accuracy, images=9))
    assert verdicts([trial("a"), few], dict(a=10, b=5))["b"].verdict == "undecided"


def test_a_percentile_that_the_samples_cannot_tell_meets_no_budget():
    """160 samples say nothing about the slowest one in a hundred: doubt is never a win."""
    trials = [trial("a"), trial("b", FINE)]
    assert verdicts(trials, dict(a=10, b=5), latency_budget_ms=50, percentile=99)["b"].verdict == "accepted"
    assert verdicts(trials, dict(a=10, b=5), latency_budget_ms=50, percentile=95)["b"].verdict == "recommended"


def point(*recall_delta: float) -> OperatingPoint:
    some = Estimate(value=0.9, low=0.88, high=0.92)
    return OperatingPoint(
        confidence=0.4, given=False, precision=some, recall=some, f1=some, false_alarms_per_image=some,
        misses_per_image=some,
        deltas={"recall": Estimate(**dict(zip(("value", "low", "high"), recall_delta, strict=True)))},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("map_delta", "recall_delta", "verdict"),
    [
        (FINE, (0.0, -0.01, 0.01), "accepted"),
        (FINE, (-0.1, -0.12, -0.08), "rejected"),
        (FINE, (-0.02, -0.04, 0.0), "undecided"),
        (LOST, (0.0, -0.01, 0.01), "rejected"),
        (UNSURE, (-0.1, -0.12, -0.08), "rejected"),
        (UNSURE, (0.0, -0.01, 0.01), "undecided"),
    ],
)
def test_every_margin_asked_for_must_be_shown_to_be_kept(map_delta, recall_delta, verdict):
    trials = [trial("a"), trial("b", map_delta, operating_point=point(*recall_delta))]
    _, other = judge(trials, REFERENCE, {}, Requirements(max_recall_drop=0.02))
    assert other.verdict == verdict
    assert "recall at confidence 0.400" in other.why


def test_recall_decides_nothing_unless_its_margin_is_given():
    trials = [trial("a"), trial("b", FINE, operating_point=point(-0.1, -0.12, -0.08))]
    assert judge(trials, REFERENCE, {}, Requirements())[1].verdict == "accepted"


def test_a_loss_of_exactly_the_margin_is_undecided_and_no_number_of_images_is_promised():
    for value, low, high, margin in ((0.0, 0.0, 0.0, 0.0), (-0.02, -0.03, -0.02, 0.02)):
        verdict, why = margin_verdict("recall", Estimate(value=value, low=low, high=high), margin, images=250)
        assert verdict == "undecided"
        assert "so close to the margin" in why


def rounds_from(samples: WorkloadSamples, first: int) -> WorkloadSamples:
    return dataclasses.replace(samples, round=samples.round + first)


def test_of_two_that_share_no_round_the_faster_is_recommended_not_the_safer():
    trials = [trial("a"), trial("b", (0.0, -0.009, 0.009)), trial("c", (0.03, 0.02, 0.04))]
    timings = {
        ("a/fp32/dyn", "1x1"): timing(10, 0),
        ("b/fp32/dyn", "1x1"): timing(2.5, 1),
        ("c/fp32/dyn", "1x1"): rounds_from(timing(8, 2), 1000),  # in a group of its own
    }
    timings["a/fp32/dyn", "1x1"] = timing(10, 0).followed_by(rounds_from(timing(10, 3), 1000))
    found = {v.key[0]: v for v in judge(trials, REFERENCE, timings, Requirements())}
    assert found["b"].verdict == "recommended"
    assert found["b"].tied_with == ("c/fp32/dyn",), "nothing tells them apart, and it is said"


def test_what_ties_with_the_best_but_is_beaten_by_another_is_not_recommended():
    """b and c tie with each other by noise of their own; c has safer accuracy, but d beats it for certain."""
    trials = [trial("a"), trial("b", FINE), trial("c", (0.03, 0.02, 0.04)), trial("d", FINE)]
    timings = {
        ("a/fp32/dyn", "1x1"): timing(10, 0),
        ("b/fp32/dyn", "1x1"): timing(4.9, 1, noise=0.3),
        ("c/fp32/dyn", "1x1"): timing(5.1, 2),
        ("d/fp32/dyn", "1x1"): timing(4.9, 3),
    }
    result = {v.key[0]: v for v in judge(trials, REFERENCE, timings, Requirements())}
    assert result["c"].verdict == "accepted"
    assert "recommended" in (result["b"].verdict, result["d"].verdict)
