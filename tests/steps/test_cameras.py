"""The parent's side of counting cameras, with children whose queues are simulated: true capacities are known."""

from __future__ import annotations

import contextlib
import itertools

import msgspec
import numpy as np
import pytest

from bakeoff import host
from bakeoff.errors import InputError
from bakeoff.records import Candidate, Failure, Model, RunRecord, Settings, Trial, Workload
from bakeoff.speed import cameras, capacity
from bakeoff.speed.arrivals import Schedule
from bakeoff.steps import cameras as step
from bakeoff.steps.context import Context, Silent
from bakeoff.store import RunFolder
from bakeoff.worker import protocol as p
from bakeoff.worker import wire
from tests.speed.queues import MS, simulate

ONE_AND_TWO = (Workload(streams=1, batch=1), Workload(streams=2, batch=1), Workload(streams=1, batch=2))


class Children:
    """In the place of `team`: a queue each, with a service time in ms by number of streams."""

    def __init__(self, service_ms):
        self.service_ms = service_ms
        self.asked = []  # (process, key, request)
        self.generations = 0

    @contextlib.contextmanager
    def team(self, context, workloads, generation, parts=1):
        self.generations += 1
        self.context, self.keys = context, tuple(workloads)
        yield self

    def ask(self, key, request, answer, *, lasts_s):
        assert lasts_s == pytest.approx(request.frames * request.interval_ns * 1e-9)
        self.asked.append((self.generations, key, request))
        ms = self.service_ms[key][request.streams]
        if ms is None:
            self.keys = tuple(other for other in self.keys if other != key)
            self.context.change_trial(key, failure=Failure(step="time", kind="error", cause="no luck"))
            return None
        schedule = Schedule.draw(request.cameras, request.interval_ns, request.frames, request.seed)
        served = simulate(schedule, request.streams, lambda frame, begin: int(ms * MS))
        names = ("phase_ns", "wait_ns", "latency_ns", "slept")
        return p.ServedCameras(**{name: wire.Array.of(getattr(served, name)) for name in names})


def trial(name):
    return Trial(candidate=Candidate(backend=name, precision="fp32", shape="dyn"))


@pytest.fixture
def count(tmp_path, monkeypatch):
    """Count cameras with simulated children; returns them and the Run's context."""
    made = []

    def begin(service_ms, **settings):
        asked = {"cameras_fps": 30.0, "slo_ms": 33.0, "workloads": ONE_AND_TWO, **settings}
        model = Model(path="m", sha256="", size_bytes=1, format="onnx", task="detect", class_names=("x",), stride=32,
                      imgsz=64)  # fmt: skip
        keys = [f"{name}/fp32/dyn" for name in service_ms]
        record = RunRecord(created="", settings=Settings(model="m", **asked), bakeoff="", versions={},
                           host=host.describe(), model=model, reference=keys[0], timing={"groups": [keys]},
                           trials=tuple(trial(name) for name in service_ms))  # fmt: skip
        folder = RunFolder.create(tmp_path / f"run{len(made)}")
        made.append(folder)
        children = Children({f"{name}/fp32/dyn": ms for name, ms in service_ms.items()})
        monkeypatch.setattr(step, "team", children.team)
        return children, Context(folder, record, Silent())

    def run(service_ms, **settings):
        children, context = begin(service_ms, **settings)
        step.count_all(context)
        return children, context

    run.begin = begin
    yield run
    for folder in made:
        folder.__exit__(None, None, None)


def truth(service_ms, streams, slo_ms=33.0):
    """Return the capacity that 100 repetitions of each level tell."""
    n = 0
    while True:
        latency = [
            simulate(Schedule.draw(n + 1, round(1e9 / 30), 60, (9, r)), streams, lambda f, b: int(service_ms * MS))
            for r in range(100)
        ]
        late = sum(int((one.latency_ns > slo_ms * MS).sum()) for one in latency)
        if not capacity.holds(sum(one.latency_ns.size for one in latency), late, 99):
            return n
        n += 1


def test_each_candidate_gets_what_its_queue_holds_from_its_best_number_of_streams(count):
    _, context = count({"fast": {1: 4.0, 2: 9.0}, "two": {1: 10.0, 2: 10.0}, "slow": {1: 40.0, 2: 40.0}})
    answers = {one.candidate.backend: one.cameras for one in context.run.trials}
    for name, streams, ms in (("fast", 1, 4.0), ("two", 2, 10.0)):
        true = truth(ms, streams)
        assert answers[name].streams == streams
        assert abs(answers[name].cameras - true) <= 1
        assert answers[name].low <= true <= answers[name].high
        assert answers[name].settled
    assert (answers["slow"].cameras, answers["slow"].high) == (0, 0)


def test_the_levels_beside_the_answer_come_from_two_generations_of_processes(count):
    children, context = count({"a": {1: 8.0, 2: 30.0}})
    found = context.run.trials[0].cameras
    for n in (found.cameras, found.cameras + 1):
        level = found.level(n)
        assert level.generations >= 2
        assert level.repetitions >= capacity.REPETITIONS
        assert level.frames >= 400
    assert 2 <= children.generations <= capacity.GENERATIONS


def test_no_candidate_takes_more_than_its_seconds(count):
    children, context = count({"a": {1: 4.0, 2: 4.0}, "b": {1: 8.0, 2: 8.0}}, camera_seconds=30.0)
    for one in context.run.trials:
        spent = sum(r.frames * r.interval_ns for _, key, r in children.asked if key == one.candidate.key) * 1e-9
        assert spent <= 30.1
        assert spent == pytest.approx(one.cameras.seconds, rel=0.01)


def test_too_few_seconds_give_no_answer_but_a_hint(count):
    _, context = count({"a": {1: 8.0, 2: 8.0}}, camera_seconds=12.0)
    found = context.run.trials[0].cameras
    assert (found.cameras, found.streams) == (None, None)
    assert found.near >= 1
    assert all(level.holds is None for level in found.levels)


def test_where_time_is_short_the_best_number_of_streams_is_measured_to_the_end(count):
    _, context = count({"a": {1: 8.0, 2: 13.0}}, camera_seconds=40.0)
    found = context.run.trials[0].cameras
    assert found.cameras is not None


def test_every_candidate_sees_the_same_phases_and_each_repetition_others(count):
    children, _ = count({"a": {1: 8.0, 2: 9.0}, "b": {1: 8.0, 2: 9.0}})
    seeds = {}
    for _, key, request in children.asked:
        seeds.setdefault((key, request.streams, request.cameras), []).append(request.seed)
    for (key, streams, n), some in seeds.items():
        assert some == [(0, i) for i in range(len(some))]
        other = seeds[("b" if key[0] == "a" else "a") + key[1:], streams, n]
        assert some == other, "equal queues ask for the same"


def test_candidates_take_turns(count):
    children, _ = count({"a": {1: 8.0, 2: 9.0}, "b": {1: 8.0, 2: 9.0}})
    keys = [key for _, key, _ in children.asked]
    longest = max(len(list(some)) for _, some in itertools.groupby(keys))
    assert longest <= 8


def test_the_same_seed_gives_the_same_answer_and_another_one_other_phases(count):
    first, again, other = (count({"a": {1: 8.0, 2: 9.0}}, seed=seed) for seed in (3, 3, 4))
    assert first[1].run.trials[0].cameras == again[1].run.trials[0].cameras
    assert first[0].asked != other[0].asked


def test_what_was_measured_before_an_interruption_counts(count):
    whole, _ = count({"a": {1: 8.0, 2: 9.0}})
    children, context = count.begin({"a": {1: 8.0, 2: 9.0}})
    honest, left = children.ask, [7]

    def ask(key, request, answer, *, lasts_s):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return honest(key, request, answer, lasts_s=lasts_s)

    children.ask = ask
    with pytest.raises(KeyboardInterrupt):
        step.count_all(context)
    assert context.run.trials[0].cameras is None
    kept = cameras.read(context.folder.samples("cameras/"))["a/fp32/dyn"]
    assert sum(len(samples.generation) for samples in kept.values()) == 7
    children.ask = honest
    step.count_all(context)
    found = context.run.trials[0].cameras
    assert found.cameras is not None
    assert len(children.asked) < 2 * len(whole.asked)
    after = cameras.read(context.folder.samples("cameras/"))["a/fp32/dyn"]
    for at, samples in kept.items():
        assert np.array_equal(after[at].latency_ns[: len(samples.generation)], samples.latency_ns)


def test_a_candidate_that_was_counted_is_not_counted_again(count):
    children, context = count({"a": {1: 8.0, 2: 9.0}})
    asked = len(children.asked)
    step.count_all(context)
    assert len(children.asked) == asked


def test_a_candidate_that_fails_leaves_and_the_others_go_on(count):
    _, context = count({"a": {1: 8.0, 2: 9.0}, "b": {1: 8.0, 2: None}})
    whole, failed = context.run.trials
    assert whole.cameras.cameras is not None
    assert failed.status == "failed"
    assert failed.cameras is None


def test_the_reference_takes_part_only_where_a_pattern_takes_it(count):
    children, context = count({"a": {1: 8.0, 2: 9.0}, "b": {1: 8.0, 2: 9.0}}, only=("b/*",))
    assert {key for _, key, _ in children.asked} == {"b/fp32/dyn"}
    assert context.run.trials[0].cameras is None


def test_a_shape_that_takes_no_single_frame_is_passed_over(count):
    children, context = count.begin({"a": {1: 8.0, 2: 9.0}})
    batched = msgspec.structs.replace(context.run.trials[0].candidate, shape="b2")
    context.run = msgspec.structs.replace(context.run, trials=(Trial(candidate=batched),), timing={})
    step.count_all(context)
    assert children.asked == []


def test_streams_are_those_of_workloads_with_batch_one():
    assert step.streams_of(ONE_AND_TWO) == [1, 2]
    assert step.streams_of((Workload(streams=4, batch=1), Workload(streams=1, batch=2))) == [4]


def test_settings_without_cameras_are_fine():
    step.check(Settings(model="m"))
    step.check(Settings(model="m", cameras_fps=30, slo_ms=33))
    with pytest.raises(InputError, match="bakeoff time"):
        step.check(Settings(model="m", cameras_fps=30, slo_ms=33, speed=False))
