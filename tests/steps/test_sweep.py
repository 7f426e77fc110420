"""Sweeps and tuning, from a Run's records: what is swept, what shares an Artifact, what is tried again."""

from __future__ import annotations

import msgspec
import pytest

from bakeoff import host
from bakeoff.records import Artifact, Candidate, Estimate, Failure, Model, RunRecord, Settings, Trial, Workload
from bakeoff.steps import convert, sweep
from bakeoff.steps.context import Context, Silent
from bakeoff.store import RunFolder

PLAIN = Candidate(backend="x", precision="fp32", shape="dyn")
OTHER = msgspec.structs.replace(PLAIN, options=("other",))
MADE = Artifact(folder="artifacts/x-fp32-dyn", files=())
GRID = (Workload(streams=1, batch=1), Workload(streams=4, batch=1))
TUNE = Settings(model="m", tune=True)


def tuned(candidate, *parts):
    return msgspec.structs.replace(candidate, tuning=parts, on_request=True)


def run(*trials, offered=(), settings=TUNE):
    model = Model(
        path="m", sha256="", size_bytes=1, format="onnx", task="detect", class_names=("x",), stride=32, imgsz=64
    )
    return RunRecord(created="", settings=settings, bakeoff="", versions={}, host=host.describe(), model=model,
                     reference="ref", trials=trials, offered=offered)  # fmt: skip


def ok(candidate, **fields):
    return Trial(**{"candidate": candidate, "artifact": MADE, "convert_s": 2.0, **fields})


def keys(record):
    return [[trial.candidate.key for trial in family.trials] for family in sweep.families(record)]


def test_a_family_is_a_plain_candidate_and_all_its_settings_requested_or_not():
    record = run(ok(PLAIN), ok(tuned(PLAIN, "t1")), ok(OTHER), offered=(tuned(PLAIN, "s2"), tuned(OTHER, "t1")))
    assert keys(record) == [
        ["x/fp32/dyn", "x/fp32/dyn/t1", "x/fp32/dyn/s2"],
        ["x/fp32/dyn/other", "x/fp32/dyn/other/t1"],
    ]


def test_settings_requested_alone_are_swept_beside_a_plain_form_of_the_same_artifact():
    (family,) = sweep.families(run(ok(tuned(PLAIN, "t1"))))
    assert family.key == "x/fp32/dyn"
    assert family.plain.artifact == MADE
    assert [trial.candidate.key for trial in family.tuned] == ["x/fp32/dyn/t1"]


def test_what_failed_or_was_not_converted_is_not_swept():
    failed = ok(PLAIN, failure=Failure(step="load", kind="error", cause="broken"))
    assert keys(run(failed, ok(tuned(PLAIN, "t1")), offered=(tuned(PLAIN, "s2"),))) == []
    assert keys(run(ok(PLAIN, artifact=None), offered=(tuned(PLAIN, "t1"),))) == []


def test_a_rejected_candidate_is_not_tuned():
    lost = ok(PLAIN, map_delta=Estimate(value=-0.2, low=-0.3, high=-0.1))
    assert keys(run(lost, ok(OTHER), offered=(tuned(PLAIN, "t1"), tuned(OTHER, "t1")))) == [
        ["x/fp32/dyn/other", "x/fp32/dyn/other/t1"]
    ]


def test_without_settings_there_is_nothing_to_tune_but_a_grid_to_sweep():
    assert keys(run(ok(PLAIN))) == []
    assert keys(run(ok(PLAIN), settings=Settings(model="m", sweep=GRID))) == [["x/fp32/dyn"]]


def test_a_sweep_takes_its_grid_and_tuning_the_workloads_that_are_timed():
    shown = [str(w) for w in sweep.workloads(run(settings=Settings(model="m", sweep=GRID)))]
    assert shown == ["1x1", "4x1"]
    assert [str(w) for w in sweep.workloads(run())] == ["1x1", "1x2", "2x1"]
    both = Settings(model="m", sweep=GRID, tune=True)
    assert [str(w) for w in sweep.workloads(run(settings=both))] == ["1x1", "4x1", "1x2", "2x1"]


def test_static_artifacts_are_built_for_the_batches_of_the_grid():
    grid = (Workload(streams=1, batch=4), Workload(streams=2, batch=8))
    assert convert.batches(Settings(model="m", sweep=grid)) == (1, 2, 4, 8)


@pytest.fixture
def context(tmp_path):
    with RunFolder.create(tmp_path / "run") as folder:
        yield lambda *trials: Context(folder, run(*trials), Silent())


def test_settings_get_the_plain_forms_artifact_and_what_it_cost(context):
    at_work = context(ok(PLAIN), Trial(candidate=tuned(PLAIN, "t1")))
    convert.share_all(at_work)
    shared = at_work.run.trial("x/fp32/dyn/t1")
    assert (shared.artifact, shared.convert_s) == (MADE, 2.0)


def test_settings_fail_with_their_plain_forms_conversion_and_say_so(context):
    failure = Failure(step="convert", kind="error", cause="no such layer", log="logs/x")
    at_work = context(Trial(candidate=PLAIN, failure=failure), Trial(candidate=tuned(PLAIN, "t1")))
    convert.share_all(at_work)
    found = at_work.run.trial("x/fp32/dyn/t1").failure
    assert found.cause == "its Artifact is that of x/fp32/dyn, which failed: no such layer"
    assert found.log == "logs/x"


def test_settings_without_their_plain_form_in_the_run_are_left_to_be_converted(context):
    at_work = context(Trial(candidate=tuned(PLAIN, "t1")))
    convert.share_all(at_work)
    assert at_work.run.trial("x/fp32/dyn/t1").artifact is None
    assert convert.plain_of(at_work.run, tuned(PLAIN, "t1")) is None


def test_a_mixed_artifact_is_shared_once_its_repair_is_over(context):
    mixed = msgspec.structs.replace(PLAIN, precision="int8+fp32")
    for verified in (False, True):
        at_work = context(ok(mixed, verified=verified), Trial(candidate=tuned(mixed, "t1")))
        convert.share_all(at_work)
        assert (at_work.run.trial("x/int8+fp32/dyn/t1").artifact is not None) is verified


def test_threads_are_those_that_the_key_names(context):
    at_work = context(ok(PLAIN), ok(tuned(PLAIN, "t7")), ok(tuned(PLAIN, "s2")))
    assert at_work.threads_of(tuned(PLAIN, "t7")) == 7
    assert at_work.threads_of(tuned(PLAIN, "s2")) == at_work.threads_of(PLAIN) == at_work.threads


def test_the_reference_is_swept_only_where_it_was_selected():
    reference = Candidate(backend="ref", precision="fp32", shape="dyn")
    settings = Settings(model="m", tune=True, only=("x/*",))
    record = run(ok(reference), ok(PLAIN), offered=(tuned(reference, "t1"), tuned(PLAIN, "t1")), settings=settings)
    record = msgspec.structs.replace(record, reference=reference.key)
    assert keys(record) == [["x/fp32/dyn", "x/fp32/dyn/t1"]]
