from __future__ import annotations

import numpy as np
import pytest

from bakeoff.backends.trt import check
from tests.backends.networks import SIDE, Forms, Images, job, noise, write_network

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
FLOAT, HALF = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16
NEWEST = 24
ONE = np.ones((8, 8, 1, 1), np.float32)


@pytest.fixture
def rtx():
    return pytest.importorskip("tensorrt_rtx")


def graph(nodes, constants=None, *, shape=(1, 8, 4, 4), kind=FLOAT, opset=19, domains=()):
    from onnx import helper, numpy_helper

    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", FLOAT, None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()],
    )
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(made, opset_imports=imports, ir_version=9)


def node(kind, inputs, outputs, **attributes):
    from onnx import helper

    return helper.make_node(kind, inputs, outputs, f"the_{kind}", **attributes)


def quantised(*, zero=0, activations=np.int8, bias=False):
    """Return a Q/DQ convolution."""
    constants = {"s": np.float32(0.1), "z": activations(zero), "w": ONE.astype(np.int8)}
    constants |= {"ws": np.full(8, 0.1, np.float32), "wz": np.zeros(8, np.int8)}
    constants |= {"b": np.ones(8, np.int32), "bs": np.full(8, 0.01, np.float32), "bz": np.zeros(8, np.int32)}
    from onnx import helper

    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], "q"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], "dq"),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], "w_dq", axis=0),
        helper.make_node("DequantizeLinear", ["b", "bs", "bz"], ["bd"], "bias_dq", axis=0),
        helper.make_node("Conv", ["d", "wd", *(["bd"] if bias else [])], ["y"], "conv"),
    ]
    return graph([one for one in nodes if bias or one.name != "bias_dq"], constants)


def fatal(problems):
    return [(one.node, one.what, one.cure) for one in problems if one.fatal]


def warned(problems):
    return [(one.node, one.what) for one in problems if not one.fatal]


def test_a_plain_convolution_has_no_problem(rtx):
    document = graph([node("Conv", ["x", "w"], ["y"])], {"w": ONE})
    assert check.inspect(document, max_opset=NEWEST) == []
    assert check.parse(document, rtx) == []


@pytest.mark.parametrize(("kind", "shape"), [("Unique", (16,)), ("Det", (1, 4, 4))])
def test_an_operator_that_the_parser_does_not_know_is_named_with_its_node_and_a_way_out(rtx, kind, shape):
    from onnx import helper

    document = graph([helper.make_node("Relu", ["x"], ["a"], "fine"), node(kind, ["a"], ["y"])], shape=shape)
    for problems in (check.parse(document, rtx), list(check._unknown_operators(document))):
        ((name, what, cure),) = fatal(problems)
        assert (name, what.partition(":")[0]) == (f"the_{kind}", kind)
        assert "raw head output" in cure


def test_the_list_of_unknown_operators_is_what_the_parser_says(rtx):
    from onnx import defs

    builder = rtx.Builder(rtx.Logger(rtx.Logger.INTERNAL_ERROR))
    network = builder.create_network(1 << int(rtx.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = rtx.OnnxParser(network, rtx.Logger(rtx.Logger.INTERNAL_ERROR))
    known = {schema.name for schema in defs.get_all_schemas() if schema.domain == ""}
    assert {name for name in check.UNSUPPORTED & known if parser.supports_operator(name)} == set()


def test_every_unknown_operator_is_listed_not_the_first_alone(rtx):
    from onnx import helper

    nodes = [helper.make_node("Det", ["x"], ["a"], "one"), helper.make_node("Unique", ["a"], ["y"], "two")]
    assert [one[0] for one in fatal(check.parse(graph(nodes, shape=(1, 4, 4)), rtx))] == ["one", "two"]


def test_an_operator_of_another_domain_needs_a_plugin(rtx):
    document = graph([node("Foo", ["x"], ["y"], domain="own")], domains=["own"])
    for problems in (check.parse(document, rtx), list(check._unknown_operators(document))):
        ((name, _, cure),) = fatal(problems)
        assert name == "the_Foo"
        assert "plugin" in cure


def test_a_node_without_a_name_is_named_by_what_it_writes(rtx):
    from onnx import helper

    document = graph([helper.make_node("Det", ["x"], ["y"])], shape=(1, 4, 4))
    assert [one.node for one in check.parse(document, rtx)] == ["y"]


def test_a_bias_in_int32_is_fatal_and_the_parser_agrees(rtx):
    document = quantised(bias=True)
    ((name, what, cure),) = fatal(check.inspect(document, max_opset=NEWEST))
    assert (name, "INT32" in what, "QuantizeBias" in cure) == ("bias_dq", True, True)
    ((said, what, again),) = fatal(check.parse(document, rtx))
    assert (said, again) == (name, cure)
    assert what.endswith("input has type Int32 but must have type FP8, FP4, Int4, Int8, or UInt8")


@pytest.mark.parametrize(("zero", "kind"), [(5, np.int8), (128, np.uint8)])
def test_a_zero_point_other_than_0_is_fatal_and_the_parser_agrees(rtx, zero, kind):
    document = quantised(zero=zero, activations=kind)
    problems = fatal(check.inspect(document, max_opset=NEWEST))
    assert [name for name, _, _ in problems] == ["q", "dq"]
    assert f"zero point of {zero}" in problems[0][1]
    assert "symmetrically" in fatal(check.parse(document, rtx))[0][2]


def test_uint8_with_a_zero_point_of_0_is_a_warning():
    problems = check.inspect(quantised(activations=np.uint8), max_opset=NEWEST)
    assert not fatal(problems)
    assert [name for name, _ in warned(problems)] == ["q", "dq"]


def test_types_that_do_not_fit_together_are_told_in_the_parsers_words(rtx):
    document = graph([node("Cast", ["x"], ["a"], to=HALF), node("Add", ["a", "x"], ["y"])])
    ((name, what, cure),) = fatal(check.parse(document, rtx))
    assert name == "the_Add"
    assert "must have same input types" in what
    assert "one type" in cure


def test_an_opset_newer_than_the_parsers_is_fatal():
    document = graph([node("Relu", ["x"], ["y"])], opset=22)
    assert check.inspect(document, max_opset=22) == []
    ((_, what, cure),) = fatal(check.inspect(document, max_opset=20))
    assert "opset 22 is newer" in what
    assert "opset 20 or older" in cure


def test_outputs_whose_size_depends_on_values_are_warned_of():
    document = graph([node("NonZero", ["x"], ["n"]), node("Cast", ["n"], ["y"], to=FLOAT)])
    ((name, what),) = warned(check.inspect(document, max_opset=NEWEST))
    assert name == "the_NonZero"
    assert "depends on values" in what


@pytest.mark.parametrize("computed", [True, False])
def test_a_size_that_is_computed_in_the_graph_is_warned_of_and_a_constant_one_is_not(computed):
    constants = {"k": np.array([1, 1, 2, 2])}
    nodes = [node("Shape", ["x"], ["s"]), node("Mul", ["s", "k"], ["to"])] if computed else []
    nodes.append(node("Resize", ["x", "", "", "to" if computed else "k"], ["y"], mode="nearest"))
    problems = warned(check.inspect(graph(nodes, constants), max_opset=NEWEST))
    assert [name for name, _ in problems] == (["the_Resize"] if computed else [])


def test_numbers_that_tensorrt_does_not_keep_are_named():
    constants = {"big": np.array([1 << 40]), "double": np.ones(1), "broken": np.array([np.nan], np.float32)}
    constants |= {"from": np.array([0]), "end": np.array([(1 << 63) - 1]), "axis": np.array([0])}
    nodes = [
        node("Cast", ["big"], ["b"], to=FLOAT),
        node("Sin", ["double"], ["d"]),
        node("Add", ["x", "broken"], ["a"]),
        node("Slice", ["a", "from", "end", "axis"], ["y"]),
    ]
    problems = check.inspect(graph(nodes, constants), max_opset=NEWEST)
    assert [name for name, _, _ in fatal(problems)] == ["the_Add"]
    assert sorted(name for name, _ in warned(problems)) == ["the_Cast", "the_Sin"]


def test_an_input_that_is_not_float32_is_fatal():
    document = graph([node("Cast", ["x"], ["y"], to=FLOAT)], kind=onnx.TensorProto.UINT8)
    ((name, what, _),) = fatal(check.inspect(document, max_opset=NEWEST))
    assert (name, "UINT8" in what) == ("x", True)


class Checked:
    """The check of a job, as a backend asks for it."""

    def __init__(self, folder, images=3, **how):
        self.folder = folder
        self.forms = Forms(write_network(folder / "network.onnx", **how), folder)
        self.images = images

    def __call__(self, kind, trt, max_opset=NEWEST):
        calibration = Images(noise(self.images)) if self.images else None
        made = job(f"tensorrt/{kind}/d1-2", self.forms, self.folder, calibration=calibration)
        return check.check(made, kind, 1, 17, max_opset=max_opset, trt=trt)


@pytest.mark.parametrize("parser", [True, False])
@pytest.mark.parametrize("kind", ["fp32", "fp16", "int8"])
def test_nothing_stands_in_the_way_of_a_sound_detector(tmp_path, rtx, kind, parser):
    assert Checked(tmp_path)(kind, rtx if parser else None) == []


def test_int8_is_checked_without_calibration_images_and_says_so(tmp_path, rtx):
    (problem,) = Checked(tmp_path, images=0)("int8", rtx)
    assert (problem.fatal, "made-up" in problem.what, "--calibration" in problem.cure) == (False, True, True)


def test_layers_that_fp16_cannot_hold_are_named_as_staying_in_float32(tmp_path, rtx):
    problems = Checked(tmp_path, scale=1e6)("fp16", rtx)
    assert {problem.node for problem in problems} >= {"a", "b"}
    assert not fatal(problems)
    assert all("stays in float32" in problem.what for problem in problems)


def test_a_graph_that_cannot_be_made_is_fatal_with_its_reason(tmp_path, rtx):
    problems = Checked(tmp_path)("int8+fp32", rtx)
    ((_, what, _),) = fatal(problems)
    assert "needs a recipe" in what


def test_of_a_quantised_file_fatal_problems_come_first_and_the_parser_repeats_none(tmp_path, rtx):
    class Bad:
        model = Forms(write_network(tmp_path / "n.onnx"), tmp_path).model

        def onnx(self, batch, opset=17):
            onnx.save(quantised(bias=True, activations=np.uint8), tmp_path / "bad.onnx")
            return tmp_path / "bad.onnx"

    made = job("tensorrt/fp32/d1-2", Bad(), tmp_path)
    problems = check.check(made, "fp32", 1, 17, max_opset=NEWEST, trt=rtx)
    found = [(problem.node, problem.fatal) for problem in problems]
    assert found == [("bias_dq", True), ("", True), ("q", False), ("dq", False)]
    assert "quantised already" in problems[1].what


def test_a_parser_that_does_not_start_leaves_the_lists(tmp_path):
    class Broken:
        class ILogger:
            pass

        class NetworkDefinitionCreationFlag:
            pass

        class Builder:
            def __init__(self, logger):
                raise TypeError("factory function returned nullptr")

    problems = check.parse(graph([node("Det", ["x"], ["y"])], shape=(1, SIDE, SIDE)), Broken)
    assert [(problem.node, problem.fatal) for problem in problems] == [("", False), ("the_Det", True)]
    assert "returned nullptr" in problems[0].what
