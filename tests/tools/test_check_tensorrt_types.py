"""mypy against TensorRT's real API: the code agrees with it, and a planted mistake is found."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRT = Path("bakeoff/backends/trt")


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("tool", ROOT / "tools" / "check_tensorrt_types.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_code_agrees_with_tensorrts_types_and_planted_mistakes_are_found(tool, tmp_path):
    stub = tool.fetched()
    assert tool.check(ROOT / "src", stub) == []
    planted = {
        "config.builder_optimization_level = options.level": "config.builder_optimisation_level = options.level",
        "builder.create_network(flags)": 'builder.create_network("strongly typed")',
        "profile.set_shape(INPUT, *shapes)": "profile.set_shapes(INPUT, *shapes)",
        "parser.parse(document)": "parser.parse(document).ok",
    }
    copy = tmp_path / "src"
    shutil.copytree(ROOT / "src", copy, ignore=shutil.ignore_patterns("*.dist-info", "__pycache__"))
    file = copy / TRT / "build.py"
    text = file.read_text()
    for right, wrong in planted.items():
        assert right in text
        text = text.replace(right, wrong)
    file.write_text(text)
    found = tool.check(copy, stub)
    for word in ("builder_optimisation_level", "create_network", "set_shapes", '"ok"'):
        assert any(word in line for line in found), (word, found)
