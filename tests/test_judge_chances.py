"""Chances against truths known otherwise: the normal theory of a mean and of a median, and figures without doubt."""

from __future__ import annotations

import dataclasses
import itertools
import math

import msgspec
import numpy as np
import pytest
from scipy.stats import norm

from bakeoff.accuracy import bootstrap
from bakeoff.errors import InputError
from bakeoff.judge import by_accuracy, changed, check, judge
from bakeoff.judge.contest import Evidence
from bakeoff.records import Requirements
from bakeoff.speed.samples import WorkloadSamples
from tests.test_judge import FINE, LOST, REFERENCE, point, timing, trial

B = "b/fp32/dyn"
IMAGES = 250


def resamples_of(*lost_by_image: np.ndarray, figure: str = "map50_95"):
    """The reference at 0.6 on every set, and Candidates whose loss is a mean over images: b, c, …"""
    found = {REFERENCE: {figure: np.full(1000, 0.6)}}
    for name, lost in zip("bcd", lost_by_image, strict=False):
        drawn = [(weights.T @ lost) / len(lost) for weights in bootstrap.image_weights(len(lost), 0)]
        found[f"{name}/fp32/dyn"] = {figure: 0.6 - np.concatenate(drawn)}
    return found


def losses(mean: float, spread: float, seed: int = 1) -> np.ndarray:
    """A loss for each image whose mean is exact."""
    drawn = np.random.default_rng(seed).normal(0, spread, IMAGES)
    return mean + drawn - drawn.mean()


def chance(name: str, other=None, timings=None, resamples=None, **asked) -> float | None:
    trials = [trial("a"), other or trial("b", FINE)]
    result = judge(trials, REFERENCE, timings or {}, Requirements(**asked), resamples or {})
    return result[1].chances.get(name)


@pytest.mark.parametrize("mean", [0.002, 0.008, 0.01, 0.0115, 0.015])
def test_the_chance_of_a_drop_is_that_of_the_mean_over_images(mean):
    """By the central limit theorem the mean of 250 losses is normal; at the margin itself the chance is a half."""
    lost = losses(mean, 0.05)
    truth = norm.cdf((0.01 - mean) / (lost.std() / math.sqrt(IMAGES)))
    assert chance("max-map-drop", resamples=resamples_of(lost)) == pytest.approx(truth, abs=0.04)


def test_far_from_the_margin_the_chance_is_none_or_certainty():
    assert chance("max-map-drop", resamples=resamples_of(losses(0.1, 0.05))) == 0
    assert chance("max-map-drop", resamples=resamples_of(losses(-0.1, 0.05))) == 1


def test_a_loss_of_exactly_the_margin_on_every_set_is_a_chance_of_a_half():
    assert chance("max-map-drop", resamples=resamples_of(np.zeros(IMAGES)), max_map_drop=0.0) == 0.5


def test_the_chance_of_a_recall_drop_is_of_recall_at_the_operating_point():
    some = {
        **resamples_of(losses(0.0, 0.01)),
    }
    recall = resamples_of(losses(0.02, 0.05), figure="op_recall")
    both = {key: {**some[key], **recall[key]} for key in some}
    other = trial("b", FINE, operating_point=point(-0.02, -0.026, -0.014))
    assert chance("max-recall-drop", other, resamples=both, max_recall_drop=0.02) == pytest.approx(0.5, abs=0.04)
    assert chance("max-map-drop", other, resamples=both, max_recall_drop=0.02) == 1


def test_resampled_sets_without_a_true_box_are_left_out():
    found = resamples_of(losses(0.0, 0.01))
    found[B]["map50_95"][:400] = np.nan
    assert chance("max-map-drop", resamples=found) == 1
    found[B]["map50_95"][:] = np.nan
    assert chance("max-map-drop", resamples=found) is None


def median_chance(samples: WorkloadSamples, budget: float) -> float | None:
    return chance("latency-budget", timings={(B, "1x1"): samples}, latency_budget_ms=budget)


@pytest.mark.parametrize("away", [-1.5, -0.7, 0.7, 1.5])
def test_the_chance_of_a_budget_is_that_of_a_median_over_rounds_not_over_predictions(away):
    """The four samples of a block are equal here: they tell as much as one, and the median's error is that of 40."""
    error = math.sqrt(math.pi / 2) * 0.2 / math.sqrt(40)
    found = []
    for seed in range(24):
        samples = timing(10, seed, noise=0.2)
        budget = float(np.median(samples.latency_ns)) * 1e-6 * math.exp(away * error)
        found.append(median_chance(samples, budget))
    over_rounds, over_predictions = norm.cdf(away), norm.cdf(2 * away)
    mean = float(np.mean(found))
    assert mean == pytest.approx(over_rounds, abs=0.07)
    assert abs(mean - over_rounds) < abs(mean - over_predictions)


def test_a_budget_at_the_median_has_a_chance_of_about_a_half():
    many = [
        median_chance(one, float(np.median(one.latency_ns)) * 1e-6) for one in (timing(10, i, 0.2) for i in range(8))
    ]
    assert np.mean(many) == pytest.approx(0.5, abs=0.1)


def test_a_resample_keeps_each_generation_s_share_of_rounds():
    """Of two equal generations the slow one holds the p60; drawn across generations, it would not now and then."""
    fast, slow = timing(5, 1), timing(6, 2)
    slow = dataclasses.replace(slow, generation=slow.generation + 1, round=slow.round + 40)
    both = {(B, "1x1"): fast.followed_by(slow)}
    asked = {"latency_budget_ms": 5.5}
    assert chance("latency-budget", timings=both, percentile=60, **asked) == 0
    assert chance("latency-budget", timings=both, percentile=40, **asked) == 1


def test_memory_and_size_are_known():
    other = trial("b", FINE, size=20, peak_memory_bytes=300)
    for name, field, limits in (
        ("max-size", "max_size_bytes", {19: 0, 20: 1, 21: 1}),
        ("max-memory", "max_memory_bytes", {299: 0, 300: 1}),
    ):
        assert {limit: chance(name, other, **{field: limit}) for limit in limits} == limits


def test_what_cannot_be_told_has_no_chance():
    samples = {(B, "1x1"): timing(5, 1)}
    assert chance("max-map-drop") is None, "no resamples"
    assert chance("latency-budget", latency_budget_ms=5) is None, "not timed"
    assert chance("latency-budget", timings=samples, latency_budget_ms=5, percentile=99) is None, "160 samples"
    assert chance("max-memory", max_memory_bytes=5) is None, "not measured"
    few = trial("b", FINE)
    few = msgspec.structs.replace(few, accuracy=msgspec.structs.replace(few.accuracy, images=9))
    assert chance("max-map-drop", few, resamples=resamples_of(losses(0.0, 0.01))) is None, "nine images"
    assert chance("max-recall-drop", max_recall_drop=0.1, resamples=resamples_of(losses(0.0, 0.01))) is None
    assert chance("max-size") is None, "no limit"


def test_chances_never_fall_as_a_limit_is_relaxed():
    found = resamples_of(losses(0.01, 0.05))
    drops = [chance("max-map-drop", resamples=found, max_map_drop=x) for x in np.linspace(0, 0.03, 40)]
    samples = timing(10, 3, noise=0.2)
    budgets = [median_chance(samples, x) for x in np.linspace(8, 12, 40)]
    for series in (drops, budgets):
        assert series == sorted(series)
        assert series[0] < 0.1
        assert series[-1] > 0.9


def test_the_reference_has_chances_of_what_it_can_break():
    trials = [trial("a", size=20), trial("b", FINE)]
    own = judge(
        trials, REFERENCE, {(REFERENCE, "1x1"): timing(5, 1)}, Requirements(latency_budget_ms=9, max_size_bytes=9)
    )
    assert own[0].chances == {"latency-budget": 1, "max-size": 0}
    assert own[0].verdict == "reference"


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"max_memory_bytes": 10**8}, "memory of 200 MB is not within 100 MB"),
        ({"max_size_bytes": 10**6}, "size of 2.5 MB is not within 1 MB"),
        ({"latency_budget_ms": 4}, "p50 not shown to be within 4 ms: it is "),
    ],
)
def test_who_breaks_a_limit_stays_accepted_but_is_not_recommended_and_it_is_said_why(asked, why):
    big = trial("b", FINE, size=2_500_000, peak_memory_bytes=2 * 10**8)
    small = trial("c", FINE, size=900_000, peak_memory_bytes=9 * 10**7)
    timings = {(f"{name}/fp32/dyn", "1x1"): timing(ms, ms) for name, ms in {"a": 10, "b": 5, "c": 7}.items()}
    plain = {v.key[0]: v for v in judge([trial("a"), big, small], REFERENCE, timings, Requirements())}
    assert (plain["b"].verdict, plain["c"].verdict) == ("recommended", "accepted")
    found = {v.key[0]: v for v in judge([trial("a"), big, small], REFERENCE, timings, Requirements(**asked))}
    assert found["b"].verdict == "accepted"
    assert why in found["b"].why
    assert found["c"].verdict == ("accepted" if "latency_budget_ms" in asked else "recommended")


def test_memory_that_was_not_measured_is_not_within_a_limit():
    timings = {(f"{name}/fp32/dyn", "1x1"): timing(ms, ms) for name, ms in {"a": 10, "b": 5}.items()}
    found = judge([trial("a"), trial("b", FINE)], REFERENCE, timings, Requirements(max_memory_bytes=10**12))
    assert found[1].verdict == "accepted"
    assert "memory not shown to be within 1e+06 MB: it was not measured" in found[1].why


def test_recall_that_was_not_measured_leaves_a_candidate_undecided():
    verdict = by_accuracy(trial("b", FINE), REFERENCE, Requirements(max_recall_drop=0.5))
    assert verdict.verdict == "undecided"
    assert "recall at one confidence was not measured" in verdict.why


@pytest.mark.parametrize("prefer", ["latency", "throughput", "accuracy", "size"])
def test_the_order_of_rows_changes_neither_verdict_nor_tie_nor_chance(prefer):
    """b, c and d are equal in everything but their names and options: only the order could tell them apart."""
    plain = trial("d", FINE, size=7)
    optional = msgspec.structs.replace(
        plain, candidate=msgspec.structs.replace(plain.candidate, backend="c", options=("channels-last",))
    )
    fussy = trial("b", FINE, size=7, not_measured={"1x2": "takes no batch of 2"})
    trials = [trial("a", LOST, size=9), plain, optional, fussy]
    timings = {(one.candidate.key, "1x1"): timing(10 if one is trials[0] else 5, 1) for one in trials}
    drawn = resamples_of(losses(0.0, 0.01))
    resamples = {one.candidate.key: drawn[REFERENCE if one is trials[0] else B] for one in trials}
    said = set()
    for order in itertools.permutations(trials):
        result = judge(order, REFERENCE, timings, Requirements(prefer=prefer, latency_budget_ms=8), resamples)
        said.add(tuple(sorted((v.key, v.verdict, v.why, v.tied_with, tuple(v.chances.items())) for v in result)))
    assert len(said) == 1
    (only,) = said
    assert [key for key, verdict, *_ in only if verdict == "recommended"] == ["d/fp32/dyn"], "the plainest"
    assert {key: tied for key, _, _, tied, _ in only}["d/fp32/dyn"] == ("b/fp32/dyn", "c/fp32/dyn/channels-last")


def test_of_equal_size_all_tie_and_of_equal_accuracy_those_whose_paired_difference_holds_0():
    trials = [trial("a", size=9), *(trial(name, FINE, size=7 if name != "d" else 8) for name in "bcd")]
    assert judge(trials, REFERENCE, {}, Requirements(prefer="size"))[1].tied_with == ("c/fp32/dyn",)
    better = [
        trial("a"),
        trial("b", (0.05, 0.04, 0.06)),
        trial("c", (0.048, 0.03, 0.06)),
        trial("d", (0.03, 0.02, 0.045)),
    ]
    close = resamples_of(losses(-0.05, 0.01, 1), losses(-0.048, 0.05, 2), losses(-0.03, 0.01, 3))
    asked = Requirements(prefer="accuracy")
    assert judge(better, REFERENCE, {}, asked, close)[1].tied_with == ("c/fp32/dyn",)
    assert judge(better, REFERENCE, {}, asked)[1].tied_with == ("c/fp32/dyn", "d/fp32/dyn"), "intervals overlap"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"max_map_drop": -0.01}, "max-map-drop -0.01 is not 0 or more"),
        ({"max_map_drop": math.inf}, "max-map-drop inf is not 0 or more"),
        ({"max_recall_drop": math.nan}, "max-recall-drop nan is not 0 or more"),
        ({"latency_budget_ms": 0.0}, "latency-budget 0 is not positive; give a limit such as 40"),
        ({"max_memory_bytes": -1}, "max-memory -1 is not positive; give a limit such as 500MB"),
        ({"max_size_bytes": 1.5e9}, "max-size 1500000000.0 is not a whole number of bytes"),
        ({"percentile": 100.0}, "percentile 100 is not between 0 and 100"),
        ({"prefer": "speed"}, "prefer 'speed' is not one of latency, throughput, accuracy, size"),
    ],
)
def test_what_nothing_can_be_judged_by_is_refused_in_a_line(asked, said):
    with pytest.raises(InputError, match=said.replace(".", r"\.")):
        check(Requirements(**asked))


def test_changed_requirements_keep_what_is_not_given_and_infinity_takes_a_limit_away():
    old = Requirements(max_map_drop=0.02, latency_budget_ms=40.0, max_size_bytes=5)
    assert changed(old, {"max_map_drop": None, "latency_budget_ms": math.inf, "prefer": "size"}) == Requirements(
        max_map_drop=0.02, max_size_bytes=5, prefer="size"
    )
    with pytest.raises(InputError, match="max-map-drop cannot be left out"):
        changed(old, {"max_map_drop": math.inf})


def test_limits_of_a_failed_candidate_are_none():
    broken = trial("b", FINE, skip="not here")
    known = Evidence(reference=trial("a"), timings={}, resamples={})
    assert known.limits(broken, Requirements(max_size_bytes=1)) == ()
