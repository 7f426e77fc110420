from __future__ import annotations

import numpy as np
import pytest

from bakeoff.backends import qdq, ranking
from tests.backends.networks import Forms, Images, job, noise, write_network

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
OPS = ("Conv", "Sigmoid", "Mul", "Add")
A, B = (["a", "a_sigmoid", "a_mul"], ["b", "b_sigmoid", "b_mul"])


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    return qdq.read(write_network(tmp_path_factory.mktemp("network") / "network.onnx"))


@pytest.fixture(scope="module")
def ranges(document):
    return qdq.calibrate(document, Images(noise(3)), OPS)


def weights_of(document):
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in document.graph.initializer}


def node(document, name):
    return next(one for one in document.graph.node if one.name == name)


def test_a_layer_is_a_convolution_with_its_activation_but_not_the_sum_of_a_distribution(document):
    assert qdq.layers(document) == {"a": A, "b": B, "c_o": ["c_o"]}


def test_the_body_ends_with_the_last_layer(document):
    assert [one.name for one in qdq.body(document)] == [*A, *B, "add", "c_o"]


def test_a_node_without_a_name_gets_that_of_its_output(document):
    assert node(document, "c_o").op_type == "Conv"


def test_minmax_ranges_are_the_extremes_over_all_images_and_hold_zero(document, ranges):
    images = noise(3)
    session = qdq.session(document, outputs=["b_o"])
    values = [session.run(["b_o"], {"images": images[i : i + 1]})[0] for i in range(3)]
    assert ranges["b_o"] == pytest.approx((min(v.min() for v in values), max(v.max() for v in values)))
    low, high = ranges["images"]
    assert (low, high) == (0, images.max())


@pytest.mark.parametrize("method", ["entropy", "percentile"])
def test_other_methods_never_reach_beyond_minmax(document, ranges, method):
    clipped = qdq.calibrate(document, Images(noise(3)), OPS, method)
    assert clipped.keys() == ranges.keys()
    for name, (low, high) in clipped.items():
        assert ranges[name][0] - 1e-6 <= low <= 0 <= high <= ranges[name][1] + 1e-6


def test_an_unknown_method_is_refused_with_those_there_are(document):
    with pytest.raises(ValueError, match=r"'maximum'.*minmax, entropy, percentile"):
        qdq.calibrate(document, Images(noise(1)), OPS, "maximum")


def test_percentile_cuts_off_what_hardly_ever_happens():
    counts = np.zeros(qdq.BINS, np.int64)
    counts[:500] = 1_000_000
    counts[-1] = 10
    assert qdq._percentile_bins(counts) == 500


def test_entropy_keeps_a_flat_distribution_and_clips_a_long_tail():
    flat = np.full(qdq.BINS, 1000)
    assert qdq._entropy_bins(flat) == qdq.BINS
    tail = (1e9 * np.exp(-np.arange(qdq.BINS) / 60)).astype(np.int64) + 1
    assert qdq._entropy_bins(tail) < qdq.BINS / 2


def test_a_histogram_counts_magnitudes_and_of_large_tensors_a_part():
    assert list(np.flatnonzero(qdq._histogram(np.array([-1, 0, 1], np.float32), 1.0))) == [0, qdq.BINS - 1]
    large = np.ones((1, 64, 160, 160), np.float32)
    assert qdq.SAMPLED / 2 <= qdq._histogram(large, 1.0).sum() <= 2 * qdq.SAMPLED


def test_quantising_leaves_the_decoding_and_the_layers_named_in_float(document, ranges):
    made = qdq.quantise(document, ranges, qdq.chosen(document, OPS, ["b"]))
    weights = weights_of(made)
    assert "b_w" in weights  # as it was
    assert "a_w" not in weights
    assert weights["a_w_quantized"].dtype == np.int8
    written = {name for one in made.graph.node if one.op_type == "DequantizeLinear" for name in one.output}
    for name in ("sum", "far_off", "score", "join"):
        assert not written.intersection(node(made, name).input[:1]), name
    assert node(made, "a").input[0] in written


def test_a_quantised_network_says_nearly_the_same(document, ranges):
    image = noise(1)
    want = qdq.session(document).run(None, {"images": image})[0]
    made = qdq.quantise(document, ranges, qdq.chosen(document, OPS))
    for in_float in (False, True):
        got = qdq.session(made, in_float=in_float).run(None, {"images": image})[0]
        assert 0 < np.abs(got - want).max() < 0.05 * np.ptp(want)


def test_weights_of_7_bits_stay_within_64(document, ranges):
    nodes = qdq.chosen(document, OPS)
    full, reduced = (
        weights_of(qdq.quantise(document, ranges, nodes, reduce_range=reduce))["a_w_quantized"].astype(int)
        for reduce in (False, True)
    )
    assert np.abs(full).max() == 127
    assert np.abs(reduced).max() <= 64


def test_symmetric_activations_have_their_zero_at_zero(document, ranges):
    made = qdq.quantise(document, ranges, qdq.chosen(document, ("Conv",)), activations="QInt8")
    zeros = [array for name, array in weights_of(made).items() if name.endswith("_zero_point")]
    assert zeros
    assert not any(array.any() for array in zeros)


def test_nothing_chosen_quantises_nothing(document, ranges):
    made = qdq.quantise(document, ranges, [])
    assert [one.op_type for one in made.graph.node] == [one.op_type for one in document.graph.node]


def test_a_layer_that_is_not_there_is_an_error_that_names_some_that_are(document):
    with pytest.raises(RuntimeError, match="no layer sum; it has a, b, c_o"):
        qdq.chosen(document, OPS, ["sum"])


def test_the_same_heads_have_no_error_and_worse_ones_more():
    rng = np.random.default_rng(0)
    boxes = rng.uniform(20, 40, (1, 4, 50))
    scores = rng.uniform(0, 1, (1, 2, 50))
    head = np.concatenate((boxes, scores), 1).astype(np.float32)
    moved, doubted = head.copy(), head.copy()
    moved[:, 0] += 5
    doubted[:, 4:] *= 0.5
    errors = [ranking.detection_error(head, other) for other in (head, moved, doubted)]
    assert errors[0] == pytest.approx(0, abs=1e-6)
    assert errors[1] == pytest.approx(1 - np.mean((boxes[0, 2] - 5) / (boxes[0, 2] + 5)), abs=0.05)
    assert errors[2] == pytest.approx(0.25, abs=0.05)


def test_an_error_is_found_where_no_anchor_is_sure():
    head = np.full((1, 6, 9), 0.01, np.float32)
    other = head.copy()
    other[:, 4:] /= 2
    assert ranking.detection_error(head, head) == pytest.approx(0, abs=1e-6)
    assert ranking.detection_error(head, other) == pytest.approx(0.005, abs=1e-6)


def test_a_score_that_only_quantising_brings_counts():
    head = np.full((1, 6, 9), 0.01, np.float32)
    other = head.copy()
    other[0, 4, 0] = 0.9
    assert ranking.detection_error(head, other) > 0.05


def test_every_layer_is_ranked_and_the_hard_one_first(tmp_path):
    forms = Forms(write_network(tmp_path / "network.onnx", uneven=True), tmp_path)
    found = ranking.rank(job("onnxruntime/int8/b1", forms, tmp_path, calibration=Images(noise(6))), OPS)
    errors = [one.error for one in found.ranking]
    assert {one.layer for one in found.ranking} == {"a", "b", "c_o"}
    assert {one.layer for one in found.ranking[:2]} == {"a", "b"}  # who writes and who reads the uneven channels
    assert errors == sorted(errors, reverse=True)
    assert errors[1] > 3 * errors[2]
    assert (found.float_layers, found.calibration_images, found.model_sha256) == ((), 6, forms.model.sha256)
    assert found.seconds is not None


def test_ranking_without_calibration_images_says_what_is_missing(tmp_path):
    forms = Forms(write_network(tmp_path / "network.onnx"), tmp_path)
    with pytest.raises(RuntimeError, match="needs calibration images"):
        ranking.rank(job("onnxruntime/int8/b1", forms, tmp_path), OPS)
