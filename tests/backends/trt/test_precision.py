from __future__ import annotations

import numpy as np
import pytest

from bakeoff.backends import qdq
from bakeoff.backends.trt import fp16, precision
from bakeoff.backends.trt.options import METHOD
from bakeoff.records import MIXED
from tests.backends.networks import SIDE, Forms, Images, job, noise, recipe, write_network
from tests.backends.trt.parsing import build
from tests.backends.trt.test_fp16 import DECODING, run, types
from tests.shared import DATA, MODEL, needs_shared

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
HALF, FLOAT = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
PRECISIONS = ("fp32", "tf32", "fp16", "int8", MIXED)
A = ["a", "a_sigmoid", "a_mul"]


class Net:
    def __init__(self, folder, **how):
        self.folder = folder
        self.forms = Forms(write_network(folder / "network.onnx", **how), folder)

    def prepare(self, kind, batch=1, opset=17, *, options=(), images=6, layers=("a",)):
        made = job(
            "/".join(("tensorrt", kind, "d1-2", *options)),
            self.forms,
            self.folder,
            calibration=Images(noise(images)) if images else None,
            recipe=recipe(self.forms.model, *layers) if kind == MIXED else None,
        )
        return precision.prepare(made, kind, batch, opset)


@pytest.fixture
def net(tmp_path):
    return Net(tmp_path)


def weights_of(document):
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in document.graph.initializer}


def readers(document, name):
    return [node.name for node in document.graph.node if name in node.input]


def made_by(document, name):
    return next(node for node in document.graph.node if name in node.output)


@pytest.mark.parametrize("kind", ["fp32", "tf32"])
def test_float_graphs_are_the_exported_file_as_it_is(net, kind):
    prepared = net.prepare(kind)
    assert prepared.document == onnx.load(str(net.forms.onnx(1)))
    assert prepared.how == {"converter": "ONNX export", "onnx": onnx.__version__, "opset": 17}


def test_fp16_keeps_the_decoding_in_float32_and_says_what_made_it(net):
    prepared = net.prepare("fp16")
    found = types(prepared.document)
    assert {found[name] for name in DECODING} == {FLOAT}
    assert {found[name] for name in ("a", "b_mul", "add", "c_o")} == {HALF}
    how = prepared.how
    assert how["converter"] == "onnxruntime.transformers.float16"
    assert how["float32_nodes"] == {"decoding": 9, "shapes": 0, "recipe": 0, "overflow": 0, "weights": 0}
    assert (how["observed_images"], how["opset"]) == (6, 17)


def test_what_overflows_on_calibration_images_stays_in_float32(tmp_path):
    wild = Net(tmp_path, scale=1e5)  # `a` gives values beyond 65504, `b` takes them back
    prepared = wild.prepare("fp16")
    assert set(prepared.how["float32_islands"]["overflow"]) == {*A, "b", "add", "c_o"}
    want = run(onnx.load(str(wild.forms.onnx(1))), noise(1))
    got = run(fp16.rounded(prepared.document), noise(1))
    assert np.abs(got - want).max() <= 0.01 * np.ptp(want)


@pytest.mark.parametrize("scale", [1e5, 1e6])
def test_int8_of_values_or_weights_that_fp16_cannot_hold_is_computed_in_float32_there(tmp_path, scale):
    wild = Net(tmp_path, scale=scale)
    prepared = wild.prepare("int8")
    assert set(prepared.how["float32_islands"]["overflow"]) >= {*A, "b"}
    want = run(onnx.load(str(wild.forms.onnx(1))), noise(1))
    got = run(fp16.rounded(prepared.document), noise(1))
    assert 0 < np.abs(got - want).max() < 0.05 * np.ptp(want)


def test_without_images_only_weights_can_tell_and_it_says_that_none_were_seen(tmp_path):
    wild = Net(tmp_path, scale=1e6)
    prepared = wild.prepare("fp16", images=0)
    assert prepared.how["observed_images"] == 0
    assert prepared.how["float32_islands"] == {"recipe": [], "overflow": [], "weights": ["a", "b"]}


def test_usual_weights_are_none_that_fp16_loses(net):
    assert net.prepare("fp16", images=0).how["float32_islands"]["weights"] == []


def test_int8_is_symmetric_with_weights_per_channel_and_biases_left_alone(net):
    prepared = net.prepare("int8")
    constants = weights_of(prepared.document)
    zeros = [array for name, array in constants.items() if name.endswith("_zero_point")]
    assert zeros
    assert {array.dtype for array in zeros} == {np.dtype(np.int8)}
    assert not any(array.any() for array in zeros)
    assert constants["a_w_quantized"].dtype == np.int8
    assert constants["a_w_scale"].shape == (8,)
    assert {array.dtype for name, array in constants.items() if name.endswith("_scale")} == {np.dtype(np.float16)}
    assert constants["a_b"].dtype == np.float16
    assert prepared.how["opset"] == 19


def test_int8_stands_before_convolutions_and_activation_functions_get_all_they_write(net):
    document = net.prepare("int8").document
    for name in ("a", "b", "c_o"):
        conv = next(node for node in document.graph.node if node.name == name)
        assert {made_by(document, tensor).op_type for tensor in conv.input[:2]} == {"DequantizeLinear"}
    assert readers(document, "a_o") == ["a_sigmoid", "a_mul"]
    assert {types(document)[name] for name in ("a", "a_sigmoid", "a_mul", "add")} == {HALF}
    assert {types(document)[name] for name in DECODING} == {FLOAT}


def test_a_residual_is_added_in_the_8_bits_that_the_next_convolution_reads(net):
    document = net.prepare("int8").document
    add = next(node for node in document.graph.node if node.name == "add")
    assert made_by(document, add.input[0]).op_type == "DequantizeLinear"
    assert made_by(document, add.input[1]).name == "b_mul"


def test_a_channel_of_tiny_weights_survives_scales_in_fp16(tmp_path):
    tiny = Net(tmp_path, scale=1e-4)
    constants = weights_of(tiny.prepare("int8").document)
    scale = constants["a_w_scale"].astype(np.float32)
    assert scale.max() < 2**-14  # subnormal in FP16
    got = constants["a_w_quantized"].astype(np.float32) * scale[:, None, None, None]
    want = weights_of(qdq.read(tiny.forms.onnx(1)))["a_w"]
    assert np.abs(got - want).max() <= np.abs(want).max() / 127


def test_what_a_concat_joins_has_the_scale_of_the_whole():
    from onnx import helper

    nodes = [
        helper.make_node("Concat", ["x", "y"], ["xy"], axis=1),
        helper.make_node("Concat", ["xy", "z"], ["all"], axis=1),
    ]
    graph = helper.make_graph(nodes, "g", [], [])
    document = helper.make_model(graph)
    ranges = {"x": (0.0, 1.0), "xy": (-1.0, 2.0), "all": (-1.0, 3.0), "other": (0.0, 9.0)}
    assert precision.joined(document, ranges) == ranges | {"x": (-1.0, 3.0), "xy": (-1.0, 3.0)}


@pytest.mark.parametrize("method", qdq.METHODS)
def test_the_calibration_method_is_the_candidates(net, method):
    prepared = net.prepare("int8", options=() if method == METHOD else (method,))
    assert prepared.how["calibration_method"] == method
    assert prepared.how["calibration_images"] == 6


def test_a_recipes_layers_are_float32_and_the_others_int8(net):
    prepared = net.prepare(MIXED, layers=("b",))
    found = types(prepared.document)
    assert {found[name] for name in ("b", "b_sigmoid", "b_mul")} == {FLOAT}
    assert {found[name] for name in ("a", "c_o")} == {HALF}
    names = weights_of(prepared.document)
    assert "a_w_quantized" in names
    assert "b_w" in names
    assert prepared.how["float_layers"] == ["b"]
    assert prepared.how["float32_nodes"]["recipe"] == 3


def test_the_int8_graph_is_near_the_float_one(net):
    want = run(onnx.load(str(net.forms.onnx(1))), noise(1))
    got = run(fp16.rounded(net.prepare("int8").document), noise(1))
    assert 0 < np.abs(got - want).max() < 0.05 * np.ptp(want)


def test_int8_without_calibration_images_says_what_is_missing(net):
    with pytest.raises(RuntimeError, match="needs calibration images"):
        net.prepare("int8", images=0)


def test_an_opset_that_cannot_be_raised_says_so_and_what_to_do(tmp_path):
    from onnx import helper

    graph = helper.make_graph(
        [helper.make_node("Crop", ["images"], ["y"])],  # no longer one of ONNX's operators
        "g",
        [helper.make_tensor_value_info("images", FLOAT, [1])],
        [helper.make_tensor_value_info("y", FLOAT, [1])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 6)], ir_version=8), tmp_path / "old.onnx")
    with pytest.raises(RuntimeError, match=r"old.onnx uses opset 6; opset 19 is needed.*export the model again"):
        qdq.read(tmp_path / "old.onnx", opset=19)


@pytest.mark.parametrize("batch", [1, "batch"])
@pytest.mark.parametrize("kind", PRECISIONS)
def test_tensorrt_parses_and_builds_every_precision(tmp_path, kind, batch):
    pytest.importorskip("tensorrt_rtx")
    net = Net(tmp_path, batch=batch)
    assert build(net.prepare(kind, 1 if batch == 1 else None).document)


def test_tensorrt_reads_the_types_that_the_graph_was_given(net):
    trt = pytest.importorskip("tensorrt_rtx")
    from tests.backends.trt.parsing import parse

    _, network, said = parse(net.prepare("int8").document)
    assert not said
    layers = [network.get_layer(i) for i in range(network.num_layers)]
    convolutions = [layer for layer in layers if layer.type == trt.LayerType.CONVOLUTION]
    assert [layer.get_output(0).dtype for layer in convolutions] == [trt.float16] * 3 + [trt.float32]  # `sum` decodes
    assert sum(layer.type == trt.LayerType.QUANTIZE for layer in layers) == 3
    assert network.get_input(0).dtype == network.get_output(0).dtype == trt.float32
    assert tuple(network.get_input(0).shape) == (1, 3, SIDE, SIDE)


@pytest.mark.slow
@needs_shared
@pytest.mark.parametrize("kind", ["fp16", "int8"])
def test_the_shared_model_keeps_its_detections_and_builds(tmp_path, kind):
    pytest.importorskip("ultralytics")
    from bakeoff.accuracy.parity import Comparison
    from bakeoff.data import calibration, yolo

    found = yolo.read_dataset(DATA)
    images = Images(list(found.training[:16]), 640)
    prepared = precision.prepare(
        job(f"tensorrt/{kind}/d1-2", Forms(MODEL, tmp_path), tmp_path, calibration=images), kind, None, 17
    )
    exported = qdq.session(onnx.load(str(Forms(MODEL, tmp_path).onnx(None))))
    session = qdq.session(fp16.rounded(prepared.document), in_float=True)
    comparison = Comparison()
    for path in found.validation[:4]:
        image = {"images": calibration.tensors([path], 640)}
        comparison.add(exported.run(None, image)[0][0], session.run(None, image)[0][0])
    errors = {group.group: group.confident_error for group in comparison.groups()}
    limits = {"fp16": {"boxes": 0.1, "scores": 0.002}, "int8": {"boxes": 3.0, "scores": 0.2}}[kind]
    assert {group: error < limits[group] for group, error in errors.items()} == dict.fromkeys(errors, True), errors
    assert prepared.how["float32_islands"] == {"recipe": [], "overflow": [], "weights": []}
    pytest.importorskip("tensorrt_rtx")
    assert build(prepared.document)
