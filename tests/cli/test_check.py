"""`bakeoff convert --check`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import tiny
from tests.cli.runner import bakeoff
from tests.conftest import write_plugin
from tests.steps import picky


@pytest.fixture
def site(tmp_path):
    source = Path(picky.__file__).read_text()
    return write_plugin(tmp_path / "site", "picky", source, {"picky": "Picky", "content": "Content"})


def checked(site, tmp_path, model, *arguments):
    return bakeoff("convert", model, "--check", *arguments, cwd=tmp_path, plugins=[site])


def cells(done):
    return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_one_candidates_warnings_end_with_0_and_nothing_is_written(site, tmp_path, tiny_model):
    before = set(tmp_path.iterdir())
    done = checked(site, tmp_path, tiny_model, "--to", "picky/fp32/dyn")
    assert done.returncode == 0, done.stderr
    ((kind, node, what, cure, key),) = cells(done)[1:]
    assert (kind, node, cure, key) == ("warning", "all", "none needed", "picky/fp32/dyn")
    assert int(re.fullmatch(r"a graph of ([0-9]+) bytes", what).group(1)) >= tiny_model.stat().st_size
    assert set(tmp_path.iterdir()) == before


@pytest.mark.slow
def test_a_fatal_problem_ends_with_2_and_one_line_that_names_node_and_way_out(site, tmp_path, tiny_model):
    done = checked(site, tmp_path, tiny_model, "--to", "picky/int8/dyn")
    assert done.returncode == 2
    assert [row[:2] for row in cells(done)[1:]] == [["fatal", "conv"], ["warning", "all"], ["warning", "seen"]]
    errors = [line for line in done.stderr.splitlines() if "error" in line]
    said = "1 of 1 Candidates cannot be converted; picky/int8/dyn: node conv: will not do; leave it out"
    assert errors == [f"bakeoff: error: {said}"]


@pytest.mark.slow
def test_without_a_candidate_all_are_checked_and_a_problem_of_several_is_one_row(site, tmp_path, tiny_model):
    done = checked(site, tmp_path, tiny_model)
    assert done.returncode == 2
    assert "1 of 4 Candidates" in done.stderr
    (shared,) = (row for row in cells(done) if row[1] == "all")
    assert shared[-1] == "picky/fp32/dyn picky/fp16/dyn picky/int8/dyn"


@pytest.mark.slow
def test_a_candidate_without_problems_is_told_so(site, tmp_path, tiny_model):
    done = checked(site, tmp_path, tiny_model, "--to", "content/fp32/dyn")
    assert (done.returncode, done.stdout) == (0, "nothing stands in the way of content/fp32/dyn\n")


@pytest.mark.slow
def test_fp16_gets_the_calibration_images_where_there_are_some(site, tmp_path, tiny_model, tiny_data):
    key = ("--to", "picky/fp16/dyn")
    without = checked(site, tmp_path, tiny_model, *key)
    assert ["warning", "seen", "no images", "none needed", key[1]] in cells(without)
    given = checked(site, tmp_path, tiny_model, *key, "--data", tiny_data)
    assert ["warning", "seen", "4 images, 4", "none needed", key[1]] in cells(given)


@pytest.mark.slow
def test_fp16_refuses_calibration_images_that_are_validation_images_too(site, tmp_path, tiny_model):
    data = tiny.write_dataset(tmp_path / "data")
    data.write_text(data.read_text().replace("images/train", "images/val"))
    done = checked(site, tmp_path, tiny_model, "--to", "picky/fp16/dyn", "--data", data)
    assert done.returncode == 2
    assert "calibration images are validation images too" in done.stderr


@pytest.mark.slow
def test_a_quantised_file_is_looked_at_though_it_is_not_converted(site, tmp_path, tiny_model):
    onnx = pytest.importorskip("onnx")
    document = onnx.load(str(tiny_model))
    pair = [("QuantizeLinear", "images", "images_q"), ("DequantizeLinear", "images_q", "images_dq")]
    for kind, reads, writes in reversed(pair):
        document.graph.node.insert(0, onnx.helper.make_node(kind, [reads, "scale"], [writes]))
    document.graph.initializer.append(onnx.helper.make_tensor("scale", onnx.TensorProto.FLOAT, [], [0.01]))
    onnx.save(document, str(tmp_path / "quantised.onnx"))
    key = ("--to", "picky/fp32/dyn")
    refused = bakeoff("convert", "quantised.onnx", *key, cwd=tmp_path, plugins=[site])
    assert refused.returncode == 2
    assert "quantised already" in refused.stderr
    done = checked(site, tmp_path, "quantised.onnx", *key)
    assert done.returncode == 0, done.stderr
    assert [row[1] for row in cells(done)[1:]] == ["all"]


@pytest.mark.slow
def test_a_backend_without_a_check_says_so(site, tmp_path, tiny_model):
    done = checked(site, tmp_path, tiny_model, "--to", "onnxruntime/fp32/dyn")
    assert done.returncode == 2
    assert "onnxruntime/fp32/dyn: no check of the graph is offered" in done.stderr


def test_neither_candidate_nor_check_is_bad_usage(tmp_path, tiny_model):
    done = bakeoff("convert", tiny_model, cwd=tmp_path)
    assert done.returncode == 2
    assert "--to" in done.stderr
    assert "--check" in done.stderr
