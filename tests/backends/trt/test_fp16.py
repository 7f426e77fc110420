from __future__ import annotations

import numpy as np
import pytest

from bakeoff.backends import qdq
from bakeoff.backends.trt import fp16
from tests.backends.networks import noise, write_network

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
HALF, FLOAT = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
DECODING = ["boxes", "sum", "spread", "rows", "cut_boxes", "far_off", "cut_scores", "score", "join"]


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    return qdq.read(write_network(tmp_path_factory.mktemp("network") / "network.onnx"))


def types(document):
    """Return the types that a node's outputs have, by its name."""
    known = {one.name: one.type.tensor_type.elem_type for one in (*document.graph.value_info, *document.graph.output)}
    return {node.name: known[node.output[0]] for node in document.graph.node}


def run(document, image):
    return qdq.session(document, in_float=True).run(None, {"images": image})[0]


def test_islands_compute_in_float32_all_else_in_fp16_and_the_graph_is_float32_outside(document):
    made = fp16.cast(document, DECODING)
    found = types(made)
    assert {found[name] for name in DECODING} == {FLOAT}
    assert {found[name] for name in ("a", "a_mul", "b", "add", "c_o")} == {HALF}
    for entry in (*made.graph.input, *made.graph.output):
        assert entry.type.tensor_type.elem_type == FLOAT


def test_between_two_nodes_of_an_island_no_value_passes_through_fp16(document):
    made = fp16.cast(document, DECODING)
    casts = [node for node in made.graph.node if node.op_type == "Cast"]
    assert [(node.input[0], node.attribute[0].i) for node in casts] == [("images", HALF), ("c_o", FLOAT)]


def test_two_islands_that_read_one_tensor_share_its_cast(document):
    made = fp16.cast(document, ["boxes", "spread"])  # both read c_o
    onnx.checker.check_model(made, full_check=True)
    assert len([node for node in made.graph.node if node.op_type == "Cast" and node.input[0] == "c_o"]) == 1


def test_an_island_in_the_middle_gets_float32_and_gives_fp16(document):
    found = types(fp16.cast(document, ["b"]))
    assert (found["b"], found["b_sigmoid"], found["add"]) == (FLOAT, HALF, HALF)


def test_a_constant_that_an_island_shares_stays_float32_for_it(tmp_path):
    from onnx import helper, numpy_helper

    odd = np.array(2049, np.float32)  # FP16 has 2048 and 2050
    nodes = [
        helper.make_node("Add", ["images", "k"], ["x"], "half"),
        helper.make_node("Add", ["x", "k"], ["y"], "full"),
    ]
    shape = [1, 3, 4, 4]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("images", FLOAT, shape)],
        [helper.make_tensor_value_info("y", FLOAT, shape)],
        [numpy_helper.from_array(odd, "k")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "k.onnx")
    made = fp16.cast(qdq.read(tmp_path / "k.onnx"), ["full"])
    got = run(fp16.rounded(made), np.zeros(shape, np.float32))
    assert set(got.flat) == {2048 + 2049}


def test_the_document_that_is_cast_stays_as_it_was(document):
    before = document.SerializeToString()
    fp16.cast(document, DECODING)
    assert document.SerializeToString() == before


def test_rounding_is_that_of_fp16_where_onnx_runtime_leaves_it_out():
    from onnx import helper, numpy_helper

    nodes = [
        helper.make_node("Cast", ["images"], ["a"], "in", to=HALF),
        helper.make_node("Add", ["a", "k"], ["b"], "add"),
        helper.make_node("Sub", ["b", "k"], ["c"], "sub"),
        helper.make_node("Cast", ["c"], ["y"], "out", to=FLOAT),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("images", FLOAT, [1])],
        [helper.make_tensor_value_info("y", FLOAT, [1])],
        [numpy_helper.from_array(np.array([2048], np.float16), "k")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    assert run(fp16.rounded(made), np.ones(1, np.float32)) == 0
    assert not any(one.data_type == HALF for one in fp16.rounded(made).graph.initializer)


def test_the_rounded_graph_is_near_the_float_one_but_not_it(document):
    image = noise(1)
    want, got = run(document, image), run(fp16.rounded(fp16.cast(document, DECODING)), image)
    assert 0 < np.abs(got - want).max() < 0.01 * np.ptp(want)


def test_rounding_overflows_where_fp16_does(tmp_path):
    wild = qdq.read(write_network(tmp_path / "wild.onnx", scale=1e5))
    assert not np.isfinite(run(fp16.rounded(fp16.cast(wild, DECODING)), noise(1))).all()
