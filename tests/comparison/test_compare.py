from __future__ import annotations

import msgspec
import pytest

from bakeoff.comparison import compare
from bakeoff.errors import InputError
from bakeoff.records import BackendStatus, Failure, SessionFacts, Settings, Workload
from bakeoff.report.compare import side
from tests.comparison.runs import HOST, VERSIONS, Made

B, C = "b/fp32/dyn", "c/fp32/dyn"


@pytest.fixture(scope="module")
def baseline(tmp_path_factory):
    return Made().write(tmp_path_factory.mktemp("a") / "run")


@pytest.fixture
def compared(baseline, tmp_path_factory):
    """Compare a Run made like this with the baseline; another `a` may be given."""

    def of(made: Made | None = None, *fail_if: str, a: Made | None = None, allow_missing: bool = False):
        folder = tmp_path_factory.mktemp("compared")
        one = baseline if a is None else a.write(folder / "a")
        other = baseline if made is None else made.write(folder / "b")
        return compare(side(one), side(other), fail_if, allow_missing=allow_missing)

    return of


def changes(found):
    return {one.key: one for one in found.candidates}


def test_a_run_against_itself_has_no_difference_and_breaks_no_rule(compared):
    rules = ("latency_1x1_ms > +0%", "surely latency_2x1_ms > +0%", "val_map50_95 < -0%", "change of size_bytes != 0",
             "status != ok")  # fmt: skip
    found = compared(None, *rules)
    assert found.passed
    assert found.notes[0] == "A and B are one and the same Run"
    for one in found.candidates:
        for figure in one.accuracy.values():
            assert (figure.delta, figure.low, figure.high, figure.says) == (0, 0, 0, "tie")
        for change in one.speed.values():
            assert change.ratio == pytest.approx(1)
            assert change.ratio_low < 1 < change.ratio_high
    for key in (B, C):
        assert changes(found)[key].speed["1x1"].says == "tie"
        assert changes(found)[key].speed["2x1"].drift_free == pytest.approx(1)


def test_a_slow_down_of_one_candidate_is_found_though_the_machine_drifted(compared):
    found = compared(
        Made(latencies={"a": 10.0, "b": 5.5, "c": 2.0}, drift=0.9, seed=1), "b/*: surely latency_1x1_ms > +5%"
    )
    slow, same = changes(found)[B].speed["1x1"], changes(found)[C].speed["1x1"]
    assert slow.says == "slower"
    assert slow.drift_free == pytest.approx(1 / 1.1, rel=0.02)
    assert slow.ratio == pytest.approx(1 / 0.99, rel=0.02), "as timed, the drift hides it"
    assert same.says == "tie"
    assert same.ratio == pytest.approx(1 / 0.9, rel=0.02), "as timed, the drift looks like a gain"
    assert not found.passed
    assert [one.candidate for one in found.rules[0].broken] == [B]


def test_drift_of_the_machine_alone_is_hardly_ever_called_a_difference(compared):
    said = [
        change.says
        for seed in range(2, 8)
        for one in compared(Made(drift=1.3, seed=seed)).candidates
        for change in one.speed.values()
        if change.says
    ]
    assert len(said) == 24
    assert len(said) - said.count("tie") <= 3


def test_the_reference_itself_is_shown_and_never_tested(compared):
    reference = changes(compared(Made(drift=2.0, seed=1)))["a/fp32/dyn"].speed["1x1"]
    assert reference.ratio == pytest.approx(0.5, rel=0.05)
    assert reference.drift_free is None
    assert reference.says == ""
    assert "by which drift is told" in reference.untested


def test_a_loss_of_accuracy_is_found_with_an_interval_paired_by_image(compared):
    found = compared(
        Made(hits={"b": 0.7}), "change of val_map50_95 < -0.01", "surely val_map50_95 < -5%", "val_map50_95 > 1"
    )
    lost, same = changes(found)[B].accuracy["val_map50_95"], changes(found)[C].accuracy["val_map50_95"]
    assert lost.says == "worse"
    assert lost.low < lost.delta < lost.high < -0.05
    assert same.says == "tie"
    assert [[one.candidate for one in rule.broken] for rule in found.rules] == [[B], [B], []]
    assert [rule.held for rule in found.rules] == [2, 2, 3]


@pytest.mark.parametrize("drawn", [dict(resamples=False), dict(record={"settings": Settings(model="m", seed=5)})])
def test_figures_are_drawn_anew_where_a_run_kept_none_or_drew_other_image_sets(compared, drawn):
    kept = changes(compared(Made(hits={"b": 0.8})))[B].accuracy
    again = changes(compared(Made(hits={"b": 0.8}, **drawn)))[B].accuracy
    for name, figure in kept.items():
        assert msgspec.structs.astuple(again[name]) == pytest.approx(msgspec.structs.astuple(figure)), name


def test_without_detections_accuracy_stands_without_an_interval(compared, baseline, tmp_path):
    other = Made(hits={"b": 0.8}).write(tmp_path / "b")
    (other / "samples.npz").unlink()
    found = compare(side(baseline), side(other), ["surely val_map50_95 < -1%", "latency_1x1_ms > +5%"])
    figure = changes(found)[B].accuracy["val_map50_95"]
    assert figure.delta < 0
    assert figure.low is None
    assert changes(found)[B].no_interval == "no samples are kept"
    assert "B keeps no timing samples: it has no speed" in found.notes
    assert not found.passed
    assert [len(rule.missing) for rule in found.rules] == [3, 3]
    assert found.rules[0].missing[0].text == "no interval: no samples are kept"


REFUSED = {
    "images": (dict(dataset_sha="2" * 64), "other images or labels: 40 images"),
    "classes": (dict(class_names=("x", "z")), "class 1 is 'y' in A, 'z' in B"),
    "fewer classes": (dict(class_names=("x",)), "2 in A, 1 in B"),
    "imgsz": (dict(imgsz=128), "another imgsz: 64 pixels in A, 128 in B"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_accuracy_of_other_images_imgsz_or_classes_is_shown_and_not_compared(compared, name):
    fields, why = REFUSED[name]
    found = compared(Made(hits={"b": 0.5}, record=_differing(**fields)), "change of val_map50_95 < -0.01")
    assert why in found.accuracy_refused
    figure = changes(found)[B].accuracy["val_map50_95"]
    assert figure.a is not None
    assert figure.b is not None
    assert figure.delta is None
    assert not found.passed
    assert {one.text for one in found.rules[0].missing} == {f"accuracy can't be compared: {found.accuracy_refused}"}


HOSTS = {
    "cpu": "CPU A CPU in A, B in B", "cores_usable": "usable cores 2 in A, 1 in B",
    "memory_bytes": "memory 8.0 GiB in A", "instruction_sets": "instruction sets avx2 in A, none in B",
    "virtual": "virtualisation unknown in A, hypervisor in B", "gpus": "GPUs none in A, a GPU in B",
}  # fmt: skip
OTHER = dict(cpu="B", cores_usable=1, memory_bytes=4 << 30, instruction_sets=(), virtual="hypervisor", gpus=("a GPU",))


@pytest.mark.parametrize("name", HOSTS)
def test_speed_on_another_host_is_shown_and_never_tested(compared, name):
    host = msgspec.structs.replace(HOST, **{name: OTHER[name]})
    found = compared(Made(latencies={"a": 10.0, "b": 9.0, "c": 2.0}, record={"host": host}), "latency_1x1_ms > +5%")
    assert HOSTS[name] in found.speed_refused
    change = changes(found)[B].speed["1x1"]
    assert change.ratio == pytest.approx(5 / 9, rel=0.05)
    assert (change.ratio_low, change.drift_free, change.says) == (None, None, "")
    assert not found.passed
    assert len(found.rules[0].missing) == 3
    assert found.accuracy_refused == ""


def test_two_hosts_whose_cpu_has_no_name_are_not_known_to_be_one(compared):
    host = {"host": msgspec.structs.replace(HOST, cpu=None)}
    assert "not known" in compared(Made(record=host), a=Made(record=host)).speed_refused


def test_another_kernel_governor_or_a_little_memory_is_a_note_or_nothing(compared):
    host = msgspec.structs.replace(HOST, kernel="2", governor="powersave", memory_bytes=HOST.memory_bytes - (40 << 20))
    found = compared(Made(record={"host": host}))
    assert found.speed_refused == ""
    assert {"other kernel: 1 in A, 2 in B", "other governor: performance in A, powersave in B"} <= set(found.notes)


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({"timing": {"threads": 1}}, "other threads: 2 in A, 1 in B"),
        ({"settings": Settings(model="m.onnx", device="cuda:0")}, "another device: cpu in A, cuda:0 in B"),
    ],
)
def test_other_threads_or_another_device_refuse_speed(compared, record, why):
    assert compared(Made(record=record), a=Made(record={"timing": {"threads": 2}})).speed_refused == why


def test_a_gpu_that_is_not_recorded_is_not_known_to_be_the_same(compared):
    cuda = {"settings": Settings(model="m.onnx", device="cuda:0")}
    assert "GPU" in compared(Made(record=cuda), a=Made(record=cuda)).speed_refused


def test_a_candidate_whose_session_ran_on_another_device_is_refused_alone(compared):
    session = {"b": {"session": SessionFacts(device="cuda:0", precision="fp32")}}
    found = compared(Made(trials=session), "latency_1x1_ms > +50%")
    assert changes(found)[B].speed["1x1"].untested == "on cpu in A, on cuda:0 in B"
    assert changes(found)[C].speed["1x1"].says == "tie"
    assert [one.candidate for one in found.rules[0].missing] == [B]


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (dict(model_sha="9" * 64), "the reference is another Model"),
        (
            dict(backends=tuple(BackendStatus(name=n, title=n, version="2.0") for n in "abc")),
            "the reference's a is 1.0 in",
        ),
        (dict(backends=()), "the version of the reference's backend is unknown"),
        (dict(versions={**VERSIONS, "numpy": "3"}), "numpy is 2.4.6 in A, 3 in B"),
        (dict(bakeoff="1"), "bakeoff is 0 in A, 1 in B"),
        (dict(settings=Settings(model="m.onnx", frames=8)), "timed on other frames"),
        (dict(settings=Settings(model="m.onnx", conf=0.5)), "timed at confidence 0.25 in A, 0.5 in B"),
    ],
)
def test_where_drift_cannot_be_told_speed_is_compared_by_its_values_alone(compared, record, why):
    found = compared(
        Made(latencies={"a": 10.0, "b": 6.0, "c": 2.0}, record=_differing(**record)),
        "latency_1x1_ms > +10%",
        "surely latency_1x1_ms > +10%",
    )  # fmt: skip
    change = changes(found)[B].speed["1x1"]
    assert why in change.untested
    assert change.ratio_low < 5 / 6 < change.ratio_high
    assert (change.drift_free, change.says) == (None, "")
    by_value, surely = found.rules
    assert [one.candidate for one in by_value.broken] == [B]
    assert [one.candidate for one in surely.missing] == [B, C], "doubt is no pass"


def test_one_generation_of_processes_gives_no_interval(compared):
    change = changes(compared(Made(generations=1)))[B].speed["1x1"]
    assert change.drift_free == pytest.approx(1, rel=0.05)
    assert change.drift_free_low is None
    assert "generations" in change.untested


def test_few_images_give_no_interval(compared):
    run = _differing(images=9)
    found = compared(Made(hits={"b": 0.5}, record=run), a=Made(record=run))
    assert changes(found)[B].no_interval == "9 images tell nothing"
    assert changes(found)[B].accuracy["val_map50_95"].low is None


def test_candidates_in_one_run_alone_are_listed_and_a_rule_finds_them_missing(compared):
    found = compared(Made(latencies={"a": 10.0, "b": 5.0, "d": 3.0}), "latency_1x1_ms > +50%", "size_bytes > 2000")
    alone = {key: (one.status_a, one.status_b) for key, one in changes(found).items()}
    assert alone[C] == ("ok", None)
    assert alone["d/fp32/dyn"] == (None, "ok")
    change, own = found.rules
    assert {one.candidate: one.text for one in change.missing} == {
        C: "B has no such Candidate", "d/fp32/dyn": "A has no such Candidate",
    }  # fmt: skip
    assert [one.candidate for one in own.missing] == [C]
    assert not found.passed
    assert compared(Made(latencies={"a": 10.0, "b": 5.0}), "size_bytes > 2000", allow_missing=True).passed


FAILED = {"failure": Failure(step="load", kind="signal", cause="SIGSEGV"), "accuracy": None, "session": None}


def test_a_candidate_that_turned_from_ok_to_failed_breaks_status_and_lacks_figures(compared):
    made = Made(latencies={"a": 10.0, "b": 5.0, "c": 2.0}, trials={"b": FAILED})
    found = compared(made, "status != ok", "val_map50_95 < 0.1")
    status, figure = found.rules
    assert [(one.candidate, one.text) for one in status.broken] == [(B, "status is failed (in A: ok)")]
    assert [(one.candidate, one.text) for one in figure.missing] == [
        (B, "B has no val_map50_95 of it: failed, load: SIGSEGV")
    ]


def test_what_failed_in_both_concerns_no_rule(compared):
    made = Made(trials={"b": FAILED})
    found = compared(made, "status != ok", "val_map50_95 < 0.1", a=made)
    assert found.passed
    assert [rule.held for rule in found.rules] == [2, 2]


def test_a_rule_that_concerns_no_candidate_is_no_pass(compared):
    found = compared(None, "latency_1x1_p99_ms > 3")
    assert not found.passed
    assert found.rules[0].missing[0].text == "neither A nor B has latency_1x1_p99_ms of any Candidate"
    with pytest.raises(InputError, match=r"no Candidate matches 'x/\*'"):
        compared(None, "x/*: size_bytes > 3")


def test_rules_on_differences_to_the_reference_leave_the_reference_out(compared):
    found = compared(None, "speedup_1x1 < 1.5", "map_delta_high < -0.01")
    assert [rule.held for rule in found.rules] == [2, 0]
    assert len(found.rules[1].missing) == 1, "these Runs have no differences to the reference"


def test_a_percentage_of_nothing_is_no_pass(compared):
    found = compared(Made(size=5), "size_bytes > +5%", a=Made(size=0))
    assert not found.passed
    assert "is 0 in A" in found.rules[0].missing[0].text


def test_a_workload_of_one_run_alone_is_not_compared(compared):
    settings = Settings(model="m.onnx", workloads=(Workload(streams=1, batch=1), Workload(streams=4, batch=1)))
    found = compared(Made(record={"settings": settings}), "latency_2x1_ms > +5%")
    assert found.workloads == ("1x1",)
    assert "Workloads in A alone, so not compared: 1x2, 2x1" in found.notes
    assert not found.passed


def test_imported_runs_are_compared_by_their_values(compared):
    found = compared(
        Made(hits={"b": 0.5}, record={"imported": "t.csv", "dataset": None}), "change of val_map50_95 < -0.1"
    )
    figure = changes(found)[B].accuracy["val_map50_95"]
    assert (figure.low, changes(found)[B].no_interval) == (None, "imported figures have no samples")
    assert not found.passed
    assert any("B is imported" in note for note in found.notes)


def test_runs_without_accuracy_as_of_a_tune_are_compared_in_speed_alone(compared):
    nothing = {name: {"accuracy": None} for name in "abc"}
    found = compared(Made(trials=nothing), a=Made(trials=nothing))
    assert all(one.accuracy == {} for one in found.candidates)
    assert changes(found)[B].speed["1x1"].says == "tie"


def test_an_interrupted_run_says_so(compared):
    assert (
        "B was interrupted: its figures stand on what was measured until then"
        in compared(Made(record={"finished": None})).notes
    )


def _differing(*, dataset_sha="1" * 64, class_names=None, imgsz=None, model_sha=None, images=None, **fields):
    run = Made().described()
    dataset = msgspec.structs.replace(run.dataset, sha256=dataset_sha, images=images or run.dataset.images)
    model = msgspec.structs.replace(
        run.model,
        class_names=class_names or run.model.class_names,
        imgsz=imgsz or run.model.imgsz,
        sha256=model_sha or run.model.sha256,
    )
    return {"dataset": dataset, "model": model, **fields}
