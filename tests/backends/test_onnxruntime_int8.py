from __future__ import annotations

import json

import numpy as np
import pytest

from bakeoff.api import Run
from bakeoff.backends import onnxruntime
from bakeoff.backends.onnxruntime import OnnxRuntime
from bakeoff.cli import invoke
from bakeoff.data import calibration, yolo
from bakeoff.host import describe
from bakeoff.testing import check_backend
from tests.backends.networks import Forms, Images, job, load, noise, recipe, write_network
from tests.shared import DATA, MODEL, needs_shared

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
LAYERS = 3  # of the small network


@pytest.fixture
def forms(tmp_path):
    return Forms(write_network(tmp_path / "network.onnx"), tmp_path)


def converted(forms, folder, key="onnxruntime/int8/b1", **fields):
    made = job(key, forms, folder, calibration=Images(noise(4)), **fields)
    return made, OnnxRuntime().convert(made)


def test_int8_is_proposed_and_its_variants_only_on_request(tiny_model, tmp_path):
    proposed = OnnxRuntime().propose(Forms(tiny_model, tmp_path).model, describe())
    keys = {one.key: one.on_request for one in proposed if one.precision != "fp32"}
    assert keys == {
        "onnxruntime/int8/static": False,
        "onnxruntime/int8/static/entropy": True,
        "onnxruntime/int8/static/percentile": True,
        "onnxruntime/int8+fp32/static": True,
    }


def test_a_fixed_batch_keeps_its_shape(forms):
    proposed = OnnxRuntime().propose(forms.model, describe())
    assert {one.shape for one in proposed} == {"b1"}


@pytest.mark.parametrize("option", ["", "/entropy", "/percentile"])
def test_int8_candidates_pass_the_suite(tiny_model, tmp_path, option):
    assert check_backend(OnnxRuntime(), tiny_model, folder=tmp_path, only=f"onnxruntime/int8/static{option}") == []


def test_a_session_is_int8_by_the_graph_that_runs(forms, tmp_path):
    made, artifact = converted(forms, tmp_path)
    session = load(OnnxRuntime(), made, artifact)
    assert session.precision == "int8"
    assert session.details["convolutions"] == {"int8": LAYERS, "fp32": 1}
    assert json.dumps(session.details)


def test_a_float_file_under_an_int8_name_is_found_out(forms, tmp_path):
    made, artifact = converted(forms, tmp_path)
    (made.folder / "b1.onnx").write_bytes(forms.onnx(1).read_bytes())
    assert load(OnnxRuntime(), made, artifact).precision.startswith(f"int8 in 0 of {LAYERS} convolutions")


def test_the_layers_of_a_recipe_run_in_float(forms, tmp_path):
    made, artifact = converted(forms, tmp_path, "onnxruntime/int8+fp32/b1", recipe=recipe(forms.model, "b", "c_o"))
    session = load(OnnxRuntime(), made, artifact)
    assert session.precision == "int8+fp32"
    assert session.details["convolutions"] == {"int8": LAYERS - 2, "fp32": 3}
    assert artifact.how["float_layers"] == ["b", "c_o"]


def test_all_layers_in_float_compute_what_the_network_does(forms, tmp_path):
    made, artifact = converted(forms, tmp_path, "onnxruntime/int8+fp32/b1", recipe=recipe(forms.model, "a", "b", "c_o"))
    image = noise(1)
    fp32 = job("onnxruntime/fp32/b1", forms, tmp_path)
    want = load(OnnxRuntime(), fp32, OnnxRuntime().convert(fp32)).run(image)[0]
    got = load(OnnxRuntime(), made, artifact).run(image)[0]
    assert np.abs(got - want).max() < 0.03 * np.ptp(want)  # the residual sum stays in 8 bits


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (lambda model: None, "needs a recipe"),
        (lambda model: recipe(model, "nowhere"), "no layer nowhere; it has a, b, c_o"),
        (
            lambda model: recipe(type(model)(**{**_fields(model), "sha256": "0" * 64}), "a"),
            "the recipe is for the model",
        ),
    ],
)
def test_a_recipe_that_does_not_fit_is_a_clear_error(forms, tmp_path, given, says):
    with pytest.raises(RuntimeError, match=says):
        converted(forms, tmp_path, "onnxruntime/int8+fp32/b1", recipe=given(forms.model))


def _fields(model):
    return {name: getattr(model, name) for name in model.__struct_fields__}


def test_int8_without_calibration_images_says_what_is_missing(forms, tmp_path):
    with pytest.raises(RuntimeError, match="needs calibration images"):
        OnnxRuntime().convert(job("onnxruntime/int8/b1", forms, tmp_path))


def test_emulation_is_the_same_graph_in_float(forms, tmp_path):
    made, artifact = converted(forms, tmp_path)
    session, image = load(OnnxRuntime(), made, artifact), noise(1)
    run, emulated = session.run(image)[0], session.emulate(image)[0]
    # a value on the border between two of 256 levels may fall to either side
    assert np.abs(run - emulated).max() < 0.02 * np.ptp(run)


def test_only_quantised_sessions_offer_an_emulation(forms, tmp_path):
    made = job("onnxruntime/fp32/b1", forms, tmp_path)
    assert not hasattr(load(OnnxRuntime(), made, OnnxRuntime().convert(made)), "emulate")


def test_every_batch_size_of_a_static_artifact_has_the_same_ranges(tiny_model, tmp_path):
    forms = Forms(tiny_model, tmp_path)
    made = job("onnxruntime/int8/static", forms, tmp_path, calibration=Images(noise(2, 64), 64))
    OnnxRuntime().convert(made)
    scales = [
        {
            tensor.name: onnx.numpy_helper.to_array(tensor).tolist()
            for tensor in onnx.load(str(made.folder / f"b{batch}.onnx")).graph.initializer
            if tensor.name.endswith(("_scale", "_zero_point"))
        }
        for batch in (1, 2)
    ]
    assert scales[0] == scales[1]
    assert scales[0]


@pytest.mark.parametrize("saturates", [True, False])
def test_weights_have_7_bits_where_the_cpu_saturates(forms, tmp_path, monkeypatch, saturates):
    monkeypatch.setattr(onnxruntime, "saturates", lambda: saturates)
    made, artifact = converted(forms, tmp_path)
    weights = [
        onnx.numpy_helper.to_array(tensor).astype(int)
        for tensor in onnx.load(str(made.folder / "b1.onnx")).graph.initializer
        if tensor.name.endswith("_w_quantized")
    ]
    assert artifact.how["reduce_range"] is saturates
    assert max(np.abs(weight).max() for weight in weights) == (64 if saturates else 127)


def test_a_backend_ranks_layers(forms, tmp_path):
    found = OnnxRuntime().rank(job("onnxruntime/int8/b1", forms, tmp_path, calibration=Images(noise(4))))
    assert {one.layer for one in found.ranking} == {"a", "b", "c_o"}


def test_openvino_keeps_a_recipes_layers_in_float(forms, tmp_path):
    pytest.importorskip("nncf")
    from bakeoff.backends.openvino import OpenVino

    images = Images(noise(4))
    for layers in (("b",), ("a", "c_o")):
        made = job("openvino/int8+fp32/b1", forms, tmp_path, calibration=images, recipe=recipe(forms.model, *layers))
        session = load(OpenVino(), made, OpenVino().convert(made))
        assert session.precision == "int8+fp32"
        assert session.details["convolutions"]["int8"] == LAYERS - len(layers)
    for given, says in ((None, "needs a recipe"), (recipe(forms.model, "nowhere"), "no layer nowhere; it has a")):
        with pytest.raises(RuntimeError, match=says):
            OpenVino().convert(job("openvino/int8+fp32/b1", forms, tmp_path, calibration=images, recipe=given))


@pytest.mark.slow
@needs_shared
def test_int8_loses_little_on_real_images(tmp_path):
    pytest.importorskip("ultralytics")
    out = tmp_path / "run"
    words = ["verify", str(MODEL), "--data", str(DATA), "--only", "onnxruntime/int8/static", "--out", str(out)]
    assert invoke(words) == 0
    reference, int8 = Run(out).rows
    assert int8["status"] == "ok"
    assert int8["val_map50_95"] > reference["val_map50_95"] - 0.03


@pytest.mark.slow
@needs_shared
def test_a_real_network_is_ranked_and_its_worst_layers_run_in_float(tmp_path):
    pytest.importorskip("ultralytics")
    forms = Forms(MODEL, tmp_path)
    images = Images(calibration.draw(yolo.read_dataset(DATA).training, 16, 0), forms.model.imgsz)
    backend = OnnxRuntime()
    found = backend.rank(job("onnxruntime/int8/static", forms, tmp_path, calibration=images))
    assert len(found.ranking) == 63
    worst = tuple(one.layer for one in found.ranking[:4])
    key = "onnxruntime/int8+fp32/static"
    made = job(key, forms, tmp_path, calibration=images, recipe=recipe(forms.model, *worst), batches=(1,))
    session = load(backend, made, backend.convert(made))
    assert (session.precision, session.details["convolutions"]["int8"]) == ("int8+fp32", 59)


@pytest.mark.slow
@needs_shared
@pytest.mark.parametrize("method", ["entropy", "percentile"])
def test_the_other_calibrations_convert_and_run_a_real_network(tmp_path, method):
    pytest.importorskip("ultralytics")
    forms = Forms(MODEL, tmp_path)
    images = Images(calibration.draw(yolo.read_dataset(DATA).training, 8, 0), forms.model.imgsz)
    made = job(f"onnxruntime/int8/static/{method}", forms, tmp_path, calibration=images, batches=(1,))
    session = load(OnnxRuntime(), made, OnnxRuntime().convert(made))
    assert session.precision == "int8"
    assert np.isfinite(session.run(next(iter(images)))[0]).all()
