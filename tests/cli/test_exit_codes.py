from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import tiny
from tests.cli.runner import FAST, bakeoff, rows
from tests.conftest import write_plugin
from tests.worker import misbehaving

REFERENCE = "onnxruntime/fp32/dyn"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    backends = {name: misbehaving.BACKENDS[name] for name in ("good", "longtext")}
    source = Path(misbehaving.__file__).read_text()
    return write_plugin(tmp_path_factory.mktemp("site"), "misbehaving", source, backends)


@pytest.mark.slow
def test_zero_and_no_torch_in_the_parent_for_an_onnx_model(tiny_model, tiny_data, tmp_path):
    names = ("torch", "ultralytics", "onnx", "onnxruntime", "openvino", "nncf")
    code = (
        "import atexit, json, sys; atexit.register(lambda: open('loaded.json', 'w').write("
        f"json.dumps([name for name in {names} if name in sys.modules])))"
    )
    arguments = ("run", tiny_model, "--data", tiny_data, "--out", "run", "--only", "onnxruntime/fp32*", *FAST)
    done = bakeoff(*arguments, cwd=tmp_path, code=code)
    assert done.returncode == 0, done.stderr
    assert list(rows(tmp_path / "run")) == [REFERENCE, "onnxruntime/fp32/static", "onnxruntime/fp32/b1"]
    assert json.loads((tmp_path / "loaded.json").read_text()) == []


@pytest.mark.slow
def test_zero_where_only_the_reference_is_selected(tiny_model, tiny_data, tmp_path):
    done = bakeoff("verify", tiny_model, "--data", tiny_data, "--out", "run", "--only", REFERENCE, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert list(rows(tmp_path / "run")) == [REFERENCE]


@pytest.mark.slow
def test_one_where_the_reference_fails_whatever_the_others_do(tiny_data, tmp_path, site):
    model = tiny.write_onnx(tmp_path / "dead.onnx", dead=True)
    arguments = ("verify", model, "--data", tiny_data, "--out", "run", "--only", "good/*")
    done = bakeoff(*arguments, cwd=tmp_path, plugins=[site])
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    table = rows(tmp_path / "run")
    assert table[REFERENCE]["status"] == "failed"
    assert "every class score is 0" in table[REFERENCE]["reason"]


@pytest.mark.slow
def test_one_where_all_others_fail(tiny_model, tiny_data, tmp_path, site):
    arguments = ("verify", tiny_model, "--data", tiny_data, "--out", "run", "--only", "longtext/*")
    done = bakeoff(*arguments, cwd=tmp_path, plugins=[site])
    assert done.returncode == 1, done.stderr
    assert rows(tmp_path / "run")[REFERENCE]["status"] == "ok"


@pytest.mark.slow
def test_one_where_the_reference_cannot_run_here_and_the_cure_is_said(tiny_model, tiny_data, tmp_path, site):
    (tmp_path / "hide").mkdir()
    (tmp_path / "hide" / "sitecustomize.py").write_text("import sys; sys.modules['onnxruntime'] = None\n")
    arguments = ("run", tiny_model, "--data", tiny_data, "--out", "run", "--only", "good/*", *FAST)
    done = bakeoff(*arguments, cwd=tmp_path, plugins=[site, tmp_path / "hide"])
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    row = rows(tmp_path / "run")[REFERENCE]
    assert row["status"] == "skipped"
    assert "onnxruntime is not installed; pip install 'bakeoff[onnx]'" in row["reason"]


@pytest.mark.slow
def test_one_where_a_conversion_fails_with_the_tail_of_its_log(tiny_model, tmp_path, site):
    done = bakeoff("convert", tiny_model, "--to", "longtext/fp32/dyn", cwd=tmp_path, plugins=[site])
    assert done.returncode == 1
    assert "longtext/fp32/dyn failed to convert: ValueError" in done.stderr
