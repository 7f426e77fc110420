"""Where nothing meets the Requirements: who comes nearest, by how much, and what to change."""

from __future__ import annotations

import itertools

import msgspec
import numpy as np
import pytest

from bakeoff import host
from bakeoff.cli import quantities
from bakeoff.judge import FIELDS, Limit, doubt, judge, nearest_miss, relaxed
from bakeoff.records import Model, Requirements, RunRecord, Settings, Verdict
from bakeoff.report.table import View
from bakeoff.report.takeaways import answer
from tests.test_judge import FINE, LOST, REFERENCE, UNSURE, point, timing, trial

TIMINGS = {
    (f"{name}/fp32/dyn", "1x1"): timing(ms, int(ms)) for name, ms in {"a": 20.0, "b": 10.0, "c": 5.0, "d": 7.0}.items()
}
MEMORY = {"a": 500, "b": 100, "c": 300, "d": 200}
MODEL = Model(path="m", sha256="", size_bytes=1, format="onnx", task="detect", class_names=("x",), stride=32, imgsz=64)


def one(name, delta=None, megabytes=10, **fields):
    return trial(name, delta, size=megabytes * 10**6, peak_memory_bytes=MEMORY[name] * 10**6, **fields)


TRIALS = (one("a", megabytes=12), one("b", FINE, 6), one("c", LOST, 3), one("d", UNSURE, 3))


def record(trials=TRIALS, timings=TIMINGS, resamples=None, **asked) -> RunRecord:
    requirements = Requirements(**asked)
    verdicts = judge(trials, REFERENCE, timings, requirements, resamples or {})
    return RunRecord(
        created="", settings=Settings(model="m", requirements=requirements), bakeoff="", versions={},
        host=host.describe(), model=MODEL, reference=REFERENCE, trials=tuple(trials), verdicts=tuple(verdicts),
        finished="later",
    )  # fmt: skip


def miss(trials=TRIALS, **asked):
    return nearest_miss(record(trials, **asked), TIMINGS)


def asked_again(found, **asked):
    """The Requirements with the values that the miss proposes, read as the command line reads them."""
    for name, text in found.relaxed.items():
        read = quantities.data_size if name in ("max-memory", "max-size") else float
        asked[FIELDS[name]] = read(text)
    return asked


def test_there_is_no_miss_where_a_candidate_meets_all():
    assert miss() is None
    assert miss(latency_budget_ms=15.0, max_size_bytes=6 * 10**6, max_memory_bytes=10**8) is None


def test_there_is_no_miss_where_nothing_was_judged():
    assert nearest_miss(msgspec.structs.replace(record(latency_budget_ms=1.0), verdicts=()), TIMINGS) is None
    assert miss(TRIALS[:1], latency_budget_ms=1.0) is None


@pytest.mark.parametrize(
    ("asked", "who", "what", "change"),
    [
        ({"latency_budget_ms": 9.5}, "b", " ms against --latency-budget 9.5 ms (0.", "--latency-budget 9.9"),
        ({"max_size_bytes": 5_500_000}, "b", "size of 6 MB against --max-size 5.5 MB (0.5 MB over)",
         "--max-size 6.000MB"),
        ({"max_memory_bytes": 95 * 10**6}, "b", "memory of 100 MB against --max-memory 95 MB (5 MB over)",
         "--max-memory 100.0MB"),
        ({"max_map_drop": 0.001}, "b",
         "mAP50-95 +0.0000 [-0.0020, +0.0020] against --max-map-drop 0.001 (up to 0.001 over)",
         "--max-map-drop 0.002001"),
    ],
)  # fmt: skip
def test_the_nearest_is_told_with_what_it_misses_by_how_much_and_the_value_that_would_do(asked, who, what, change):
    found = miss(**asked)
    assert found.key == f"{who}/fp32/dyn"
    assert what in found.words
    assert f"It would meet `{change}" in found.words
    (verdict,) = [v for v in record(**asked_again(found, **asked)).verdicts if v.key == found.key]
    assert verdict.verdict == "recommended", "the value proposed is enough"


def test_several_limits_are_summed_and_all_of_them_named():
    """d lacks a little of two limits, b a lot of one."""
    trials = (TRIALS[0], one("b", FINE, 50), one("d", (-0.009, -0.011, -0.007), 3))
    found = miss(trials, max_size_bytes=2_900_000, max_map_drop=0.0105)
    assert found.key == "d/fp32/dyn"
    assert [limit.name for limit in found.limits] == ["max-map-drop", "max-size"]
    assert "against --max-map-drop" in found.words
    assert " and size of 3 MB against --max-size 2.9 MB" in found.words
    assert "`--max-map-drop 0.01101 --max-size 3.000MB`" in found.words


def test_where_images_could_decide_it_is_said_how_many():
    found = miss((TRIALS[0], one("d", (-0.005, -0.013, 0.003))))
    assert "about 650 images like these would decide it" in found.words
    assert found.relaxed == {"max-map-drop": "0.01301"}


def test_where_frames_are_lacking_it_is_said_how_many():
    found = miss(latency_budget_ms=11.0, percentile=99)
    assert found.relaxed == {}
    assert "by 160 samples" in found.words
    assert "400 samples can tell a p99: --frames 400" in found.words
    noisy = {**TIMINGS, ("b/fp32/dyn", "1x1"): timing(10, 4, noise=0.3)}
    found = nearest_miss(record(timings=noisy, latency_budget_ms=9.0), noisy)
    assert "frames would decide it" in found.words


def test_the_chance_is_that_of_the_verdict():
    rng = np.random.default_rng(0)
    resamples = {REFERENCE: {"map50_95": np.zeros(1000)}, "d/fp32/dyn": {"map50_95": rng.normal(-0.01, 0.01, 1000)}}
    trials = (TRIALS[0], TRIALS[3])
    found = nearest_miss(record(trials, resamples=resamples), TIMINGS)
    (verdict,) = [v for v in record(trials, resamples=resamples).verdicts if v.key == found.key]
    assert 0.4 < verdict.chances["max-map-drop"] < 0.6
    assert f"chance of meeting it {verdict.chances['max-map-drop']:.0%}" in found.words


def test_the_order_of_rows_does_not_change_the_miss():
    for asked in ({"latency_budget_ms": 4.0}, {"max_size_bytes": 10**6}, {"percentile": 99, "latency_budget_ms": 11.0}):
        assert len({miss(order, **asked).words for order in itertools.permutations(TRIALS)}) == 1


def test_the_reference_that_meets_all_is_stayed_with_and_one_that_does_not_is_not():
    stay = answer(View.make(record(TRIALS[:1] + TRIALS[2:3]), TIMINGS))
    assert stay.startswith(
        f"**Stay with `{REFERENCE}`**: every Candidate measured loses more accuracy than allowed. The"
    )
    assert "nearest miss is `c/fp32/dyn`: mAP50-95 -0.1000 [-0.1200, -0.0800] against --max-map-drop 0.01" in stay
    none = answer(View.make(record(latency_budget_ms=1.0), TIMINGS))
    assert none.startswith(
        "**Nothing meets the Requirements**: no accepted Candidate is shown to meet every limit. The"
    )


def test_the_reference_may_be_the_nearest():
    found = miss((one("a", megabytes=4), one("b", FINE, 50)), max_size_bytes=3_900_000)
    assert found.key == REFERENCE
    assert not found.reference_meets


def test_without_labels_nothing_is_a_miss():
    plain = tuple(msgspec.structs.replace(t, map_delta=None, accuracy=None) for t in TRIALS)
    assert miss(plain, latency_budget_ms=1.0) is None


@pytest.mark.parametrize("needed", [0.0, 0.03, 0.013217, 1e-9, 36.77, 0.49999, 139.05, 12345.678])
@pytest.mark.parametrize("name", ["max-map-drop", "latency-budget"])
def test_a_relaxed_value_is_enough_and_hardly_more(name, needed):
    limit = Limit(name=name, allowed=0, verdict="rejected", figure="", why="", needed=needed)
    value = float(relaxed(limit))
    assert value > needed if name == "max-map-drop" else value >= needed
    assert value <= needed * 1.002 + 0.0001


@pytest.mark.parametrize("needed", [1, 999, 6_000_000, 123_456_789, 12_345_678_901])
def test_relaxed_bytes_are_enough_as_the_command_line_reads_them(needed):
    limit = Limit(name="max-size", allowed=1, verdict="rejected", figure="", why="", needed=needed)
    assert needed <= quantities.data_size(relaxed(limit)) <= needed * 1.002


def test_doubt_about_the_recommended_one_is_said_in_the_answer():
    """A budget at the median is met by the figure, and no more sure than a coin."""
    timings = {**TIMINGS, ("b/fp32/dyn", "1x1"): timing(10, 4, noise=0.1)}
    budget = float(np.median(timings["b/fp32/dyn", "1x1"].latency_ns)) * 1e-6
    run = record(timings=timings, latency_budget_ms=budget)
    (best,) = [v for v in run.verdicts if v.verdict == "recommended"]
    assert 0.2 < best.chances["latency-budget"] < 0.9
    text = answer(View.make(run, timings))
    assert text.startswith("**Deploy `b/fp32/dyn`**")
    assert text.endswith(f"Its chance of meeting --latency-budget is {best.chances['latency-budget']:.0%}.")
    assert doubt(Verdict(key="", verdict="", chances={"max-size": 1.0, "max-map-drop": 0.99})) == ""


def test_a_recall_margin_that_is_missed_names_recall():
    trials = (TRIALS[0], one("b", FINE, operating_point=point(-0.03, -0.04, -0.025)))
    found = miss(trials, max_recall_drop=0.02)
    assert (
        "recall at confidence 0.400 -0.0300 [-0.0400, -0.0250] against --max-recall-drop 0.02 (0.02 over)"
        in found.words
    )
