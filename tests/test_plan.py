from __future__ import annotations

import msgspec
import pytest

from bakeoff import plan
from bakeoff.errors import InputError
from bakeoff.records import BackendStatus, Candidate, Model, Settings, Trial, Workload


def candidate(key: str) -> Candidate:
    backend, precision, shape, *options = key.split("/")
    return Candidate(backend=backend, precision=precision, shape=shape, options=tuple(options))


KEYS = ["pytorch/fp32/dyn", "pytorch/fp32/dyn/channels-last", "onnxruntime/fp32/static", "onnxruntime/fp32/b1",
        "onnxruntime/fp32/dyn", "openvino/int8/dyn"]  # fmt: skip
ALL = [candidate(key) for key in KEYS]
READY = [BackendStatus(name=name, title=name) for name in ("pytorch", "onnxruntime", "openvino")]


def model(form: str, fixed_batch: int | None = None) -> Model:
    return Model(path="m", sha256="", size_bytes=1, format=form, task="detect", class_names=("x",), stride=32, imgsz=64,
                 fixed_batch=fixed_batch)  # fmt: skip


def selected(only=(), skip=()):
    return [c.key for c in plan.select(ALL, ALL[0], only, skip)]


def test_the_reference_is_the_untouched_model():
    assert plan.reference_of(model("ultralytics"), ALL).key == "pytorch/fp32/dyn"
    assert plan.reference_of(model("onnx"), ALL).key == "onnxruntime/fp32/dyn"
    assert plan.reference_of(model("onnx", fixed_batch=1), ALL).key == "onnxruntime/fp32/b1"
    with pytest.raises(InputError, match="to run the reference"):
        plan.reference_of(model("onnx", fixed_batch=3), ALL)


def test_everything_is_selected_without_patterns_reference_first():
    assert selected() == KEYS
    assert plan.select(ALL, ALL[4], (), ())[0].key == "onnxruntime/fp32/dyn"


def test_patterns_select_keys_and_a_star_crosses_slashes():
    assert selected(only=["*dyn*"]) == [KEYS[0], KEYS[1], KEYS[4], KEYS[5]]
    assert selected(only=["openvino*", "*/b1"]) == [KEYS[0], KEYS[3], KEYS[5]]
    assert selected(skip=["onnxruntime*"]) == [KEYS[0], KEYS[1], KEYS[5]]


def test_the_reference_runs_even_if_it_is_skipped():
    assert selected(skip=["*"]) == [KEYS[0]]


def test_a_pattern_that_matches_nothing_is_an_error_with_the_nearest_name():
    with pytest.raises(InputError, match="did you mean 'openvino/int8/dyn'"):
        selected(only=["openvino/int9/dyn"])
    with pytest.raises(InputError, match="no Candidate matches 'zzz'"):
        selected(skip=["zzz"])


def test_an_unusable_backend_makes_skipped_trials_that_say_how_to_cure_it():
    missing = BackendStatus(
        name="openvino", title="OpenVINO", cannot_convert="openvino is not installed; pip install it"
    )
    trials = plan.trials(ALL, [*READY[:2], missing], (), calibration=None)
    assert [t.status for t in trials] == ["ok"] * 5 + ["skipped"]
    assert "pip install" in trials[-1].reason


def test_int8_without_calibration_images_is_skipped_with_that_reason():
    trials = plan.trials(ALL, READY, (), calibration="no images; give some")
    assert [t.skip for t in trials] == [None] * 5 + ["no images; give some"]


def test_a_batch_that_a_shape_cannot_take_is_noted():
    trials = plan.trials(ALL, READY, [Workload.parse("1x1"), Workload.parse("1x2")], calibration=None)
    assert {t.candidate.key: t.reason for t in trials if t.reason} == {
        "onnxruntime/fp32/b1": "1x2 not measured: b1 takes no batch of 2"
    }


@pytest.mark.parametrize(("shape", "takes"), [("static", [1, 2, 3]), ("dyn", [1, 2, 3]), ("b2", [2]), ("d2-3", [2, 3])])
def test_a_shape_takes_the_batches_that_it_says(shape, takes):
    one = Candidate(backend="x", precision="fp32", shape=shape)
    assert [batch for batch in (1, 2, 3) if one.takes(batch)] == takes


def test_candidates_on_request_run_only_where_a_pattern_means_them_alone():
    entropy = msgspec.structs.replace(candidate("onnxruntime/int8/static/entropy"), on_request=True)
    mixed = msgspec.structs.replace(candidate("openvino/int8+fp32/dyn"), on_request=True)
    every = [*ALL, candidate("onnxruntime/int8/static"), entropy, mixed]

    def keys(only=(), skip=()):
        return [c.key for c in plan.select(every, ALL[0], only, skip)][1:]

    assert keys() == [*KEYS[1:], "onnxruntime/int8/static"]
    assert keys(only=["onnxruntime/int8*"]) == ["onnxruntime/int8/static"]
    assert keys(only=["onnxruntime/int8/static/*"]) == ["onnxruntime/int8/static/entropy"]
    assert keys(only=["*int8+fp32*", KEYS[3]]) == [KEYS[3], "openvino/int8+fp32/dyn"]
    assert keys(only=["*+*"], skip=["openvino*"]) == []


def test_a_mixed_candidate_is_skipped_where_accuracy_is_not_judged():
    mixed = candidate("openvino/int8+fp32/dyn")
    (trial,) = plan.trials([mixed], READY, (), calibration=None, judged=False)
    assert "decided by accuracy" in trial.reason
    (trial,) = plan.trials([mixed], READY, (), calibration="no images")
    assert trial.reason == "no images"


def test_settings_of_loading_run_only_where_a_pattern_means_them_alone():
    static = ALL[2]
    tuned = [msgspec.structs.replace(static, tuning=(part,), on_request=True) for part in ("t1", "nospin")]
    other = candidate("onnxruntime/int8/static")
    entropy = msgspec.structs.replace(other, options=("entropy",), on_request=True)
    slow = [msgspec.structs.replace(one, tuning=("t1",), on_request=True) for one in (other, entropy)]
    offered = [*ALL, other, entropy, *tuned, *slow]

    def keys(*only):
        return [c.key for c in plan.select(offered, ALL[0], only, ())][1:]

    assert keys() == [*KEYS[1:], other.key]
    assert keys("onnxruntime/fp32/*") == KEYS[2:5]
    assert keys("onnxruntime/fp32/static") == [KEYS[2]]
    assert keys("onnxruntime/fp32/static/*") == [f"{KEYS[2]}/t1", f"{KEYS[2]}/nospin"]
    assert keys("onnxruntime/fp32/static/t1") == [f"{KEYS[2]}/t1"]
    assert keys("onnxruntime/int8/static/*") == [entropy.key]
    assert keys("*/int8/*/t1") == [f"{other.key}/t1", f"{entropy.key}/t1"]
    assert plan.reference_of(model("ultralytics"), [msgspec.structs.replace(ALL[0], tuning=("t1",)), *ALL]) == ALL[0]


def asked_for(keys, only=(), skip=()):
    trials = [Trial(candidate=candidate(key)) for key in keys]
    return [trial.candidate.key for trial in plan.asked_for(trials, KEYS[0], only, skip)]


def test_the_reference_is_asked_for_where_a_pattern_takes_it_or_nothing_else_is_there():
    assert asked_for(KEYS) == KEYS
    assert asked_for([KEYS[0], KEYS[2]], only=("onnxruntime/*",)) == [KEYS[2]]
    assert asked_for([KEYS[0], KEYS[2]], only=("onnxruntime/*", "pytorch/*")) == [KEYS[0], KEYS[2]]
    assert asked_for([KEYS[0], KEYS[2]], skip=("pytorch/*",)) == [KEYS[2]]
    assert asked_for([KEYS[0]], only=("onnxruntime/*",)) == [KEYS[0]]


def shaped(only=(), skip=(), workloads=("1x1", "1x2"), runnable=("pytorch", "onnxruntime", "openvino")):
    """What a tune tries, by plain key."""
    other = [msgspec.structs.replace(candidate(key), on_request=True) for key in ("openvino/int8/static",)]
    every = [*ALL, *other]
    shapes = {
        "onnxruntime/fp32/static": ("onnxruntime/fp32/b1", "onnxruntime/fp32/dyn"),
        "onnxruntime/fp32/b1": ("onnxruntime/fp32/static", "onnxruntime/fp32/dyn"),
        "openvino/int8/dyn": ("openvino/int8/static",),
    }
    settings = Settings(
        model="m", only=only, skip=skip, workloads=tuple(Workload.parse(text) for text in workloads), shapes=True
    )
    found = plan.to_tune(every, plan.select(every, ALL[0], only, skip), shapes, settings, runnable)
    return {one.key: one.shapes for one in found}


def test_a_tune_takes_the_plainest_candidate_of_each_backend_in_all_its_shapes():
    assert shaped() == {
        "pytorch/fp32/dyn": (),
        "onnxruntime/fp32/static": ("onnxruntime/fp32/b1", "onnxruntime/fp32/dyn"),
        "openvino/int8/dyn": ("openvino/int8/static",),
    }


def test_a_tune_of_what_only_names_starts_from_that_and_takes_each_shape_once():
    assert shaped(only=["onnxruntime/*"]) == {
        "onnxruntime/fp32/static": ("onnxruntime/fp32/b1", "onnxruntime/fp32/dyn")
    }
    assert shaped(only=["onnxruntime/fp32/b1"]) == {
        "onnxruntime/fp32/b1": ("onnxruntime/fp32/static", "onnxruntime/fp32/dyn")
    }
    assert shaped(only=["openvino/int8/static"]) == {"openvino/int8/static": ("openvino/int8/dyn",)}


def test_shapes_that_are_skipped_or_take_none_of_the_batches_are_not_tried():
    assert shaped(only=["onnxruntime/*"], skip=["*/dyn"])["onnxruntime/fp32/static"] == ("onnxruntime/fp32/b1",)
    assert shaped(only=["onnxruntime/*"], workloads=["1x2"])["onnxruntime/fp32/static"] == ("onnxruntime/fp32/dyn",)


def test_shapes_of_a_runtime_that_cannot_run_here_are_not_built():
    assert shaped(runnable=("pytorch",)) == {
        "pytorch/fp32/dyn": (), "onnxruntime/fp32/static": (), "openvino/int8/dyn": ()
    }  # fmt: skip


def test_settings_of_other_shapes_are_taken_only_where_a_pattern_means_them_alone():
    other = msgspec.structs.replace(candidate("openvino/int8/static"), on_request=True)
    tunings = [msgspec.structs.replace(one, tuning=("t1",), on_request=True) for one in (*ALL[-2:], other)]
    every = [*ALL, other, *tunings]

    def keys(pattern):
        return [c.key for c in plan.select(every, ALL[0], [pattern], (), {other.key})][1:]

    assert keys("*/t1") == ["onnxruntime/fp32/dyn/t1", "openvino/int8/dyn/t1"]
    assert keys("openvino/int8/static/t1") == ["openvino/int8/static/t1"]
    assert keys("openvino/int8/static") == ["openvino/int8/static"]


@pytest.mark.parametrize(
    ("workloads", "batches"), [(["1x1", "1x2", "2x1"], (1, 2)), (["1x2", "2x2", "1x1"], (2, 1)), (["1x4"], (4,))]
)
def test_the_commonest_batch_comes_first(workloads, batches):
    assert Settings(model="m", workloads=tuple(map(Workload.parse, workloads))).batches == batches
