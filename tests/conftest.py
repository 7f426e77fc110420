from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import bakeoff
from tests import tiny

PLUGIN = Callable[..., Path]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny detector, its batch size free."""
    return tiny.write_onnx(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny dataset's yaml. Tests that break something in it make their own."""
    return tiny.write_dataset(tmp_path_factory.mktemp("data"))


def write_plugin(folder: Path, name: str, source: str, backends: Mapping[str, str]) -> Path:
    """Write a distribution as pip installs it: a module, and entry points for backends (name -> class)."""
    information = folder / f"{name}-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = ["[bakeoff.backends]", *(f"{backend} = {name}:{cls}" for backend, cls in backends.items())]
    (information / "entry_points.txt").write_text("\n".join(lines) + "\n")
    (folder / f"{name}.py").write_text(source)
    return folder


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PLUGIN:
    """Install a third party's backends for this test: in this process and in its children."""

    def install(name: str, source: str, backends: Mapping[str, str]) -> Path:
        folder = write_plugin(tmp_path / "site", name, source, backends)
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(Path(bakeoff.__file__).parents[1])]))
        monkeypatch.delitem(sys.modules, name, raising=False)
        return folder

    return install
