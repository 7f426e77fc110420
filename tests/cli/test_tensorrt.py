"""TensorRT on a host without a GPU, from the command line: built where asked for, and otherwise out of the way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import bakeoff as package
from bakeoff.backends.trt import gpu
from tests.backends.trt import graphs
from tests.cli.runner import FAST, bakeoff, rows

SOURCE = Path(package.__file__).parents[1]
pytestmark = [
    pytest.mark.slow,  # each plans, probes and converts with all backends
    pytest.mark.skipif(isinstance(gpu.here(), gpu.Gpu), reason="tests what happens where there is no GPU"),
]


def test_plan_puts_the_many_options_of_a_candidate_on_one_line(tmp_path, tiny_model):
    graphs.rtx()
    done = bakeoff("plan", tiny_model, cwd=tmp_path, plugins=[SOURCE])
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if "tensorrt_rtx/fp16/d1-2" in line]
    assert len(lines) == 2
    assert "tensorrt_rtx/fp16/d1-2/…" in done.stdout
    listed = json.loads(bakeoff("plan", tiny_model, "--json", cwd=tmp_path, plugins=[SOURCE]).stdout)
    assert "tensorrt_rtx/fp16/d1-2/o5" in {row["candidate"] for row in listed}
    assert {row["status"] for row in listed if row["candidate"].startswith("tensorrt")} == {"on request"}


@pytest.mark.slow
def test_what_cannot_run_here_is_built_where_asked_for_or_skipped_with_the_cure(tmp_path, tiny_model, tiny_data):
    graphs.rtx()
    keys = ("tensorrt_rtx/fp16/d1-2", "tensorrt_rtx/int8/d1-2", "tensorrt/fp16/d1-2")
    only = [word for key in keys for word in ("--only", key)]
    arguments = ("run", tiny_model, "--data", tiny_data, *FAST)
    done = bakeoff(*arguments, *only, "--out", "asked", cwd=tmp_path, plugins=[SOURCE])
    found = rows(tmp_path / "asked")
    assert [found[key]["status"] for key in keys] == ["built", "built", "skipped"], done.stderr
    assert found[keys[0]]["reason"].startswith("no NVIDIA GPU here: ")
    assert found[keys[2]]["reason"].startswith("tensorrt is not installed; pip install ")
    made = tmp_path / "asked" / "artifacts" / "tensorrt_rtx-fp16-d1-2"
    engine = [made / "engine.json", made / "model.engine"]
    assert sorted(made.iterdir()) == [made / "artifact.json", *engine, made / "predict.py"]
    assert int(found[keys[0]]["size_bytes"]) == sum(path.stat().st_size for path in engine)
    assert "import tensorrt_rtx as trt" in (made / "predict.py").read_text()
