"""What a tune recommends, from samples alone: the fastest, the plainest of equals, and how to serve another camera."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from bakeoff import host
from bakeoff.records import Candidate, Failure, Model, RunRecord, Settings, Shapes, Sweep, Trial, Workload
from bakeoff.speed import sweep, tune
from bakeoff.speed.samples import WorkloadSamples
from bakeoff.speed.schedule import GROUP_ROUNDS
from tests.speed.test_sweep import samples as swept_samples

DYN, B1, STATIC = "x/fp32/dyn", "x/fp32/b1", "x/fp32/static"
OTHER, OTHER_B1 = "y/fp32/dyn", "y/fp32/b1"
T1 = "x/fp32/dyn/t1"
ALL = ("1x1", "1x2", "2x1")
PASSES, GENERATIONS = 20, 3


def candidate(key):
    backend, precision, shape, *tuning = key.split("/")
    return Candidate(backend=backend, precision=precision, shape=shape, tuning=tuple(tuning))


def samples(key, workload, ms, *, first_round=0, step=3, noise=0.003):
    """Rounds of `workload` as the main timing has them: a pass is one round of each Workload, one after the other."""
    w = Workload.parse(workload)
    rng = np.random.default_rng(zlib.crc32(f"{key} {workload} {ms}".encode()))
    rounds = PASSES * GENERATIONS
    run = (ms * 1e6 * np.exp(rng.normal(0, noise, (rounds, w.streams, 4)))).astype(np.int64)
    return WorkloadSamples(
        generation=np.repeat(np.arange(GENERATIONS, dtype=np.int32), PASSES),
        round=(first_round + step * np.arange(rounds) + ALL.index(workload) % step).astype(np.int32),
        pre_ns=run * 0, run_ns=run, post_ns=run * 0, span_ns=run.sum(2),
        rest_ns=np.zeros(rounds, np.int64), window=np.full(rounds, -1),
    )  # fmt: skip


def run(*families, trials=(), workloads=ALL):
    keys = [key for family in families for key in (family.key, *family.shapes)]
    known = {key: Trial(candidate=candidate(key)) for key in keys} | {one.candidate.key: one for one in trials}
    model = Model(
        path="m", sha256="", size_bytes=1, format="onnx", task="detect", class_names=("x",), stride=32, imgsz=64
    )
    settings = Settings(model="m", shapes=True, accuracy=False, workloads=tuple(map(Workload.parse, workloads)))
    return RunRecord(created="", settings=settings, bakeoff="", versions={}, host=host.describe(), model=model,
                     reference=keys[0], trials=tuple(known.values()), shapes=families)  # fmt: skip


def timings(ms):
    return {(key, workload): samples(key, workload, value) for (key, workload), value in ms.items()}


def chosen(record, ms):
    return {one.workload: one for one in tune.tuned(record, timings(ms)).choices}


FAMILY = Shapes(key=DYN, shapes=(STATIC, B1))
BATCH_WINS = {(DYN, "1x1"): 10, (DYN, "1x2"): 15, (DYN, "2x1"): 21, (B1, "1x1"): 9, (B1, "2x1"): 18,
              (STATIC, "1x1"): 10, (STATIC, "1x2"): 17, (STATIC, "2x1"): 20}  # fmt: skip


def test_the_shape_that_is_faster_is_recommended_for_its_workload_with_what_it_gains():
    found = tune.tuned(run(FAMILY), timings(BATCH_WINS))
    assert {one.workload: one.key for one in found.choices} == {"1x1": B1, "1x2": DYN, "2x1": B1}
    gain = found.standings[B1, "2x1"].gain
    assert gain.low < 21 / 18 < gain.high
    assert not gain.tie
    assert found.standings[DYN, "1x2"].gain is None  # it is the plain shape itself
    words = {key: found.standings[key, "1x2"].word for key in (DYN, STATIC)}
    assert words == {DYN: "recommended", STATIC: "slower"}
    assert (B1, "1x2") not in found.standings


def test_of_shapes_that_tie_the_plain_one_is_recommended_and_the_others_are_named():
    equal = {(key, "1x1"): 10.0 for key in (DYN, STATIC, B1)} | {(B1, "1x1"): 9.99}
    one = chosen(run(FAMILY), equal)["1x1"]
    assert one.key == DYN
    assert set(one.tied) == {STATIC, B1}


def test_default_settings_are_plainer_than_others_and_proposed_shapes_than_other_ones():
    tuned = Trial(candidate=candidate(T1))
    equal = {(key, "1x1"): 10.0 for key in (STATIC, T1)}
    record = run(FAMILY, trials=[Trial(candidate=candidate(DYN), failure=_failed()), tuned])
    assert chosen(record, equal)["1x1"].key == STATIC
    both = run(FAMILY, Shapes(key=OTHER, shapes=(OTHER_B1,)))
    assert chosen(both, {(key, "1x1"): 10.0 for key in (B1, STATIC, OTHER)})["1x1"].key == OTHER


def _failed():
    return Failure(step="time", kind="error", cause="broken")


def test_what_failed_is_not_recommended():
    record = run(FAMILY, trials=[Trial(candidate=candidate(B1), failure=_failed())])
    assert chosen(record, BATCH_WINS)["1x1"].key != B1


def test_precisions_are_not_held_against_each_other_since_accuracy_is_not_measured():
    record = run(FAMILY, Shapes(key="x/int8/dyn"))
    found = tune.tuned(record, timings({(DYN, "1x1"): 10, ("x/int8/dyn", "1x1"): 3}))
    assert {one.precision: one.key for one in found.choices} == {"fp32": DYN, "int8": "x/int8/dyn"}


def test_a_setting_belongs_to_the_plain_shape_of_its_form():
    record = run(FAMILY, trials=[Trial(candidate=candidate("x/fp32/b1/t1"))])
    assert tune.plain_of(record, "x/fp32/b1/t1") == DYN
    assert tune.plain_of(record, B1) == DYN
    assert tune.plain_of(run(FAMILY, trials=[Trial(candidate=candidate("z/fp32/dyn"))]), "z/fp32/dyn") is None


def test_the_reference_competes_only_where_it_is_tuned():
    record = run(FAMILY, trials=[Trial(candidate=candidate("z/fp32/dyn"))])
    ms = {(DYN, "1x1"): 10, ("z/fp32/dyn", "1x1"): 1}
    assert chosen(record, ms)["1x1"].key == DYN


def test_a_second_camera_is_served_by_a_batch_where_that_beats_two_streams_on_batch_1():
    found = tune.tuned(run(FAMILY), timings(BATCH_WINS))
    overall, study = found.questions
    assert (overall.plain, study.plain) == (None, DYN)
    for one in (overall, study):
        assert (one.batch, one.streams, one.winner) == (DYN, B1, "batch")
        assert one.ratio.low < 18 / 15 < one.ratio.high


def test_a_second_camera_is_served_by_streams_where_these_beat_the_batch():
    (overall, study) = tune.tuned(run(FAMILY), timings({**BATCH_WINS, (DYN, "1x2"): 25, (STATIC, "1x2"): 24})).questions
    assert {overall.winner, study.winner} == {"streams"}
    assert (study.batch, study.streams) == (STATIC, B1)


def test_a_second_camera_is_undecided_where_the_interval_holds_1():
    (overall, _) = tune.tuned(run(FAMILY), timings({**BATCH_WINS, (DYN, "1x2"): 18.0, (STATIC, "1x2"): 19.0})).questions
    assert overall.winner is None
    assert overall.ratio.tie


def test_without_a_batch_1_form_there_is_the_question_over_all_alone():
    (one,) = tune.tuned(run(Shapes(key=DYN, shapes=(STATIC,))), timings(BATCH_WINS)).questions
    assert one.plain is None
    assert one.streams == STATIC


@pytest.mark.parametrize("workloads", [("1x1",), ("1x1", "1x2"), ("1x1", "2x1")])
def test_nobody_asks_about_a_second_camera_without_both_workloads(workloads):
    record = run(FAMILY, workloads=workloads)
    ms = {who: value for who, value in BATCH_WINS.items() if who[1] in workloads}
    assert tune.tuned(record, timings(ms)).questions == ()


def test_rounds_of_two_workloads_pair_by_pass_within_a_generation_and_a_group():
    one, two = (tune.by_pass(samples(DYN, workload, 10).medians) for workload in ("1x2", "2x1"))
    assert one.round.tolist() == two.round.tolist()
    assert len(set(one.round.tolist())) == PASSES * GENERATIONS
    elsewhere = tune.by_pass(samples(DYN, "2x1", 10, first_round=GROUP_ROUNDS).medians)
    assert not set(one.round.tolist()) & set(elsewhere.round.tolist())


def test_a_workload_that_ended_early_pairs_what_it_has():
    long, short = samples(DYN, "1x2", 10).medians, samples(DYN, "2x1", 10).medians
    keep = np.flatnonzero(np.arange(PASSES * GENERATIONS) % PASSES < 5)
    cut = type(short)(generation=short.generation[keep], round=short.round[keep], median_ns=short.median_ns[keep])
    common = set(tune.by_pass(cut).round.tolist()) & set(tune.by_pass(long).round.tolist())
    assert len(common) == 5 * GENERATIONS


def screened(ms):
    return Sweep(key=DYN, points=sweep.points(DYN, {who: swept_samples(who[1], value) for who, value in ms.items()}))


def test_settings_are_tried_of_the_shape_that_was_the_fastest_the_plain_one_where_they_tie():
    ms = {(DYN, "1x1"): 10, (B1, "1x1"): 8, (DYN, "1x2"): 15, (STATIC, "1x2"): 15.0001}
    family = Shapes(key=DYN, shapes=(STATIC, B1), screened=screened(ms))
    assert tune.fastest_shapes(family, ["1x1", "1x2", "4x1"]) == {"1x1": B1, "1x2": DYN}


def test_where_the_plain_shape_takes_no_such_batch_the_fastest_other_one_is_taken():
    ms = {(STATIC, "1x2"): 15, ("x/fp32/d1-2", "1x2"): 14}
    family = Shapes(key=B1, shapes=(STATIC, "x/fp32/d1-2"), screened=screened(ms))
    assert tune.fastest_shapes(family, ["1x2"]) == {"1x2": "x/fp32/d1-2"}


def test_a_setting_is_added_where_it_wins_beyond_doubt_and_by_more_than_the_target():
    found = screened({(DYN, "1x1"): 10, (T1, "1x1"): 9.9, (DYN, "2x1"): 20, (T1, "2x1"): 15})
    assert tune.winning_settings(found, 0.02, ["1x1"]) == []
    assert tune.winning_settings(found, 0.02, ["1x1", "2x1"]) == [T1]


def test_another_run_is_no_tune():
    record = run(FAMILY)
    assert tune.tuned(type(record)(**{**_fields(record), "shapes": ()}), {}) is None


def _fields(record):
    return {name: getattr(record, name) for name in record.__struct_fields__}
