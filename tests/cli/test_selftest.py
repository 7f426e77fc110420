from __future__ import annotations

import getpass
import json
import os
import sys
from pathlib import Path

import pytest

from bakeoff.cli import invoke
from bakeoff.selftest import private, scrub
from tests.cli.runner import bakeoff
from tests.conftest import write_plugin

pytest.importorskip("bakeoff_demo")
ABSENT = """
from bakeoff.testing import FakeBackend

class Absent(FakeBackend):
    name = "absent"
    title = "Absent"

    def unavailable(self, step):
        return "its driver is not installed; pip install driver"
"""


def texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for one in value.values() for text in texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in texts(one)]
    return [value] if isinstance(value, str) else []


@pytest.mark.slow
def test_every_candidate_is_built_run_and_checked_and_one_file_tells_it(tmp_path):
    pytest.importorskip("ultralytics")
    pytest.importorskip("onnxruntime")
    done = bakeoff("selftest", "onnxruntime", "--out", "test", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "test" / "selftest.json").read_text())
    assert json.loads(done.stdout) == document
    assert (document["format"], document["version"], document["passed"]) == ("bakeoff-selftest", 1, True)
    found = {one["candidate"]: one for one in document["candidates"]}
    assert next(iter(found)) == document["reference"] == "pytorch/fp32/dyn"
    assert {"onnxruntime/fp32/static", "onnxruntime/fp32/b1", "onnxruntime/fp32/dyn", "onnxruntime/int8/static"} <= set(
        found
    )
    plain = found["onnxruntime/fp32/static"]
    assert plain["status"] == "ok"
    assert plain["figures"]["box_error_px"] < 0.1
    assert abs(plain["figures"]["map_delta"]) < 0.001
    assert plain["figures"]["latency_1x1_ms"] > 0
    assert plain["artifact"]["files"][0]["sha256"]
    assert not [text for text in texts(document) if str(tmp_path) in text or str(Path.home()) in text]


def test_an_unusable_backend_is_told_in_a_line_and_in_the_file(tmp_path):
    site = write_plugin(tmp_path / "site", "absent_plugin", ABSENT, {"absent": "Absent"})
    done = bakeoff("selftest", "absent", "--out", "test", cwd=tmp_path, plugins=[site])
    assert done.returncode == 1
    line = "bakeoff: Absent cannot be tested here: its driver is not installed; pip install driver"
    assert done.stderr.splitlines() == [line]
    document = json.loads((tmp_path / "test" / "selftest.json").read_text())
    assert document["passed"] is False
    assert document["candidates"] == []
    assert document["backend"]["cannot_run"] == "its driver is not installed; pip install driver"
    assert document["host"]["cores_usable"] >= 1


def test_an_unknown_backend_names_the_nearest(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert invoke(["selftest", "onxruntime"]) == 2
    assert "did you mean 'onnxruntime'?" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_paths_and_names_of_the_machine_are_replaced_in_every_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    words = private(run)
    log = (
        f'File "{run}/artifacts/x.onnx"\n{sys.prefix}/lib/a.py\n{os.getcwd()}/b {Path.home()}/c by {getpass.getuser()}'
    )
    (clean,) = scrub([{"log_tail": log, "number": 3}], words)
    assert clean == {"log_tail": 'File "RUN/artifacts/x.onnx"\nPYTHON/lib/a.py\nCWD/b HOME/c by USER', "number": 3}
    assert scrub("preheater", {"heater": "HOST"}) == "preheater"
