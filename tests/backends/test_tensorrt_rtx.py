"""TensorRT-RTX really builds every Candidate, on a host without a GPU too. None of them was ever run."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import bakeoff_demo
import numpy as np
import pytest

import bakeoff
from bakeoff import host, models, testing
from bakeoff.backend import ConvertJob, LoadJob, Step
from bakeoff.backends.tensorrt_rtx import TensorRtRtx
from bakeoff.backends.trt import build, engine_file, gpu, log
from bakeoff.backends.trt.backend import OPSET
from bakeoff.backends.trt.options import Options, Profile
from bakeoff.backends.trt.versions import RTX, generation
from bakeoff.records import MIXED, Artifact, Candidate
from tests import shared
from tests.backends import slow_build
from tests.backends.trt import graphs
from tests.cli.runner import processes_with, start, wait_for
from tests.conftest import write_plugin

SOURCE = Path(bakeoff.__file__).parents[1]
no_gpu = pytest.mark.skipif(isinstance(gpu.here(), gpu.Gpu), reason="tests what is said where there is no GPU")
PLAIN = ("fp32/d1-2", "fp32/b1", "tf32/d1-2", "fp16/d1-2", "int8/d1-2")


class Building:
    """A Model that Candidates are built from."""

    def __init__(self, model: Path, folder: Path, imgsz: int | None = None, images: np.ndarray | None = None) -> None:
        graphs.rtx()
        self.folder = folder
        self.forms = testing._Forms(models.open_model(model, imgsz=imgsz), folder / "forms")
        side = self.forms.model.imgsz
        self.images = np.random.default_rng(0).random((4, 3, side, side), np.float32) if images is None else images

    def build(self, key: str) -> Artifact:
        precision, shape, *options = key.split("/")
        candidate = Candidate(backend="tensorrt_rtx", precision=precision, shape=shape, options=tuple(options))
        folder = self.folder / candidate.slug
        folder.mkdir()
        images = testing._Calibration(self.images) if precision in ("int8", "fp16") else None
        job = ConvertJob(candidate=candidate, model=self.forms, folder=folder, batches=(1, 2), calibration=images)
        return TensorRtRtx().convert(job)


@pytest.fixture
def tiny_building(tiny_model, tmp_path):
    return Building(tiny_model, tmp_path)


def check_artifact(artifact: Artifact, building: Building, key: str) -> dict:
    """Assert what holds for every engine, and return how it was made."""
    precision, shape, *_ = key.split("/")
    model = building.forms.model
    folder = Path(artifact.folder)
    assert {file.path for file in artifact.files} == {"model.engine", "engine.json"}
    header, engine = engine_file.read(folder / "model.engine")
    assert header["names"] == {str(i): name for i, name in enumerate(model.class_names)}
    assert (header["imgsz"], header["task"], header["stride"]) == ([model.imgsz] * 2, "detect", model.stride)
    assert engine[:4] == b"vtrt"
    made = engine_file.read_sidecar(folder)
    engine_file.check_whole(made, engine)
    assert (made.key, made.precision, made.model_sha256) == (f"tensorrt_rtx/{key}", precision, model.sha256)
    how = artifact.how
    assert json.loads(json.dumps(how)) == how
    (images,), outputs = how["network"]["inputs"], how["network"]["outputs"]
    batch = -1 if shape.startswith("d") else int(shape[1:])
    assert images == {"name": "images", "shape": [batch, 3, model.imgsz, model.imgsz], "type": "FLOAT"}
    assert {end["type"] for end in outputs} == {"FLOAT"}
    assert outputs[0]["shape"][:2] == [batch, 4 + len(model.class_names)]
    assert how["tf32"] is (precision == "tf32")
    assert how["user_allocation"] is True
    assert how["network"]["strongly_typed"] is True
    kinds = how["network"]["layers"]
    assert (kinds.get("QUANTIZE", 0) > 0) == (kinds.get("DEQUANTIZE", 0) > 0) == (precision == "int8")
    assert "CAST" in kinds or precision in ("fp32", "tf32")  # in FP32 some shapes are cast too
    return how


@pytest.mark.parametrize("key", [*PLAIN, "fp16/b1", "int8/b1", "int8/d1-2/entropy", "int8/d1-2/minmax"])
def test_the_tiny_model_is_built(tiny_building, key):
    check_artifact(tiny_building.build(key), tiny_building, key)


@pytest.mark.parametrize("target", ["sm75", "sm86", "sm89", "sm120"])
def test_an_engine_is_built_for_each_target(tiny_building, target):
    key = f"fp16/d1-2/{target}"
    how = check_artifact(tiny_building.build(key), tiny_building, key)
    expected = f"{target[2:-1]}.{target[-1]}"
    assert how["targets"] == [expected]
    assert engine_file.read_sidecar(tiny_building.folder / f"tensorrt_rtx-fp16-d1-2-{target}").targets == [expected]


@no_gpu
def test_without_a_gpu_an_engine_is_for_all_targets_since_ampere(tiny_building):
    how = tiny_building.build("fp32/d1-2").how
    assert how["targets"] == ["8.0", "8.6", "8.9", "12.0", "12.1"]
    assert how["built_on"].startswith("no NVIDIA GPU here")


@pytest.mark.parametrize(
    ("key", "profiles", "count"),
    [
        ("fp32/d1-2", [(1, 1, 2)], 1),
        ("fp32/d1-2/opt2", [(1, 2, 2)], 1),
        ("fp32/d1-2/profiles", [(1, 1, 1), (2, 2, 2)], 2),
        ("fp32/b1", [(1, 1, 1)], 0),  # the graph's batch is fixed: nothing is left to a profile
    ],
)
def test_the_profiles_of_the_key_stand_in_the_builders_config(tiny_building, key, profiles, count):
    how = tiny_building.build(key).how
    assert [(one["min"], one["opt"], one["max"]) for one in how["profiles"]] == profiles
    assert how["num_profiles"] == count


def test_a_mixed_candidate_keeps_the_recipes_layers_in_float(tiny_building):
    from bakeoff.backends import qdq
    from bakeoff.records import Recipe

    document = qdq.read(tiny_building.forms.onnx(1))
    recipe = Recipe(
        model_sha256=tiny_building.forms.model.sha256,
        calibration_images=4,
        calibration_seed=0,
        ranking=(),
        float_layers=tuple(qdq.layers(document))[:1],
    )
    counts = []
    for precision, given in (("int8", None), (MIXED, recipe)):
        candidate = Candidate(backend="tensorrt_rtx", precision=precision, shape="d1-2")
        folder = tiny_building.folder / candidate.slug
        folder.mkdir()
        job = ConvertJob(
            candidate=candidate,
            model=tiny_building.forms,
            folder=folder,
            batches=(1, 2),
            calibration=testing._Calibration(tiny_building.images),
            recipe=given,
        )
        counts.append(TensorRtRtx().convert(job).how["network"]["layers"]["DEQUANTIZE"])
    assert counts[1] < counts[0]


def test_what_tensorrt_rtx_lacks_is_refused_before_anything_is_built(tiny_building):
    for option, why in (("hw", "no hardware compatibility"), ("weak", "no weak typing"), ("sm90", "no target 9.0")):
        with pytest.raises(ValueError, match=why):
            tiny_building.build(f"fp16/d1-2/{option}")


@no_gpu
def test_without_a_gpu_it_converts_but_says_why_it_cannot_run(tiny_building, tiny_model):
    backend = TensorRtRtx()
    assert backend.unavailable(Step.CONVERT) is None
    assert backend.unavailable(Step.RUN).startswith("no NVIDIA GPU here: ")
    candidates = backend.propose(tiny_building.forms.model, host.describe())
    assert [one.key.partition("/")[2] for one in candidates[:5]] == list(PLAIN)
    assert all(one.on_request for one in candidates)
    artifact = tiny_building.build("fp32/b1")
    job = LoadJob(candidate=candidates[1], artifact=artifact, model=tiny_building.forms, threads=1, device="cuda:0")
    with pytest.raises(RuntimeError, match=r"no NVIDIA GPU here: .*; TensorRT-RTX needs a host with one to run"):
        backend.load(job)


def test_every_proposed_option_is_one_that_this_version_builds(tiny_building):
    candidates = TensorRtRtx().propose(tiny_building.forms.model, host.describe())
    assert len({one.key for one in candidates}) == len(candidates)
    for key in ("fp16/d1-2/o0", "fp16/d1-2/o5", "int8/d1-2/w1024", "tf32/d1-2/sm121", f"{MIXED}/d1-2"):
        assert f"tensorrt_rtx/{key}" in {one.key for one in candidates}
    for key in ("fp16/d1-2/o0", "fp16/d1-2/o5", "int8/d1-2/w1024", "tf32/d1-2/sm121"):
        check_artifact(tiny_building.build(key), tiny_building, key)


def test_a_model_of_a_fixed_batch_is_built_for_that_batch_alone(tmp_path):
    from tests import tiny

    building = Building(tiny.write_onnx(tmp_path / "one.onnx", batch=1), tmp_path)
    candidates = TensorRtRtx().propose(building.forms.model, host.describe())
    assert {one.shape for one in candidates} == {"b1"}
    check_artifact(building.build("fp32/b1"), building, "fp32/b1")


@pytest.mark.slow
@pytest.mark.parametrize("key", PLAIN)
def test_the_demo_model_is_built(tmp_path, key):
    building = Building(bakeoff_demo.model_path(), tmp_path, imgsz=160)
    check_artifact(building.build(key), building, key)


@pytest.fixture
def shared_building(tmp_path):
    from bakeoff.data.calibration import tensors

    building = Building(shared.MODEL, tmp_path)
    files = sorted((shared.DATA.parent / "images").rglob("*.jpg"))[:2]
    building.images = np.concatenate([tensors([file], building.forms.model.imgsz) for file in files])
    return building


@pytest.mark.slow
@shared.needs_shared
@pytest.mark.parametrize("key", PLAIN)
def test_the_shared_model_is_built(shared_building, key):
    how = check_artifact(shared_building.build(key), shared_building, key)
    if key.startswith("int8"):
        assert how["network"]["layers"]["QUANTIZE"] >= 50
        assert how["network"]["layers"]["DEQUANTIZE"] >= 100  # of weights too


@pytest.mark.slow
@shared.needs_shared
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_shared_model_is_built_for_every_target(shared_building, precision):
    from bakeoff.backends.trt.precision import prepare

    trt = graphs.rtx()
    job = ConvertJob(
        candidate=Candidate(backend="tensorrt_rtx", precision=precision, shape="d1-2"),
        model=shared_building.forms,
        folder=shared_building.folder,
        batches=(1, 2),
        calibration=testing._Calibration(shared_building.images),
    )
    document = prepare(job, precision, None, OPSET).document.SerializeToString()
    for target in ("7.5", "8.6", "8.9", "12.0"):
        ask = build.Ask(
            precision=precision,
            options=Options(),
            profiles=(Profile(low=1, opt=1, high=2),),
            imgsz=shared_building.forms.model.imgsz,
            targets=(target,),
        )
        built = build.build(trt, generation(RTX, trt.__version__), document, ask, logger=log.logger(trt))
        assert len(built.engine) > 1_000_000
        assert built.how["targets"] == [target]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_build_and_its_child_at_once(tmp_path, tiny_model, monkeypatch, number):
    graphs.rtx()
    monkeypatch.setenv("BAKEOFF_TEST_SLOW", str(tmp_path))
    site = write_plugin(
        tmp_path / "site", "slow_build", Path(slow_build.__file__).read_text(), {"slow-build": "SlowBuild"}
    )
    arguments = ("convert", tiny_model, "--to", "slow-build/fp32/d1-2", "--out", "made")
    process = start(*arguments, cwd=tmp_path, plugins=[site, SOURCE])
    wait_for(tmp_path / "reached", process)
    began = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert time.monotonic() - began < 2
    assert processes_with(site) == []
