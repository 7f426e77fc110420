"""Imports point down only, and what is heavy is imported where it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import bakeoff

ROOT = Path(bakeoff.__file__).parent
ORDER = [
    "errors",
    "version",
    "records",
    "stats",
    "backend",
    "registry",
    "host",
    "data",
    "models",
    "pipeline",
    "accuracy",
    "speed",
    "store",
    "deploy",
    "schema",
    "worker",
    "plan",
    "judge",
    "view",
    "takeaways",
    "comparison",
    "steps",
    "doctor",
    "report",
    "bake",
    "again",
    "importing",
    "predictor",
    "api",
    "selftest",
    "testing",
    "cli",
]
BACKENDS_MAY_IMPORT = {"backend", "records", "errors"}
SHARED_BY_BACKENDS = (
    "bakeoff.backends.elsewhere",
    "bakeoff.backends.engine",
    "bakeoff.backends.ir",
    "bakeoff.backends.qdq",
    "bakeoff.backends.ranking",
    "bakeoff.backends.scripts",
    "bakeoff.backends.trt",
)  # none themselves
RUNTIMES = {
    "torch", "torchvision", "ultralytics", "onnx", "onnxruntime", "openvino", "nncf", "tensorrt", "tensorrt_rtx",
    "cuda", "pandas", "polars",
}  # fmt: skip
FILES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py") if path.name != "__main__.py")


def layer(file: Path) -> str:
    return file.parts[0].removesuffix(".py")


def imports(file: Path, *, module_level: bool) -> Iterator[str]:
    """Yield the full names that a file imports; those for type checkers only are left out."""
    todo: list[ast.AST] = [ast.parse((ROOT / file).read_text())]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif not (module_level and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))):
            todo += ast.iter_child_nodes(node)


def own_layers(file: Path) -> set[str]:
    """Return the layers of bakeoff that a file imports, at any level, but its own."""
    names = [name.split(".") for name in imports(file, module_level=False)]
    found = {parts[1] for parts in names if parts[0] == "bakeoff" and len(parts) > 1}
    return {name for name in found if name != layer(file) and not name.startswith("__")}


def test_every_module_has_its_place_in_the_order():
    assert {layer(file) for file in FILES} == {*ORDER, "backends", "__init__"}


@pytest.mark.parametrize("file", [f for f in FILES if layer(f) in ORDER], ids=str)
def test_imports_point_down_only(file):
    below = set(ORDER[: ORDER.index(layer(file))])
    assert own_layers(file) <= below


@pytest.mark.parametrize("file", [f for f in FILES if layer(f) == "backends"], ids=str)
def test_a_backend_imports_the_protocol_and_the_records_alone(file):
    assert own_layers(file) <= BACKENDS_MAY_IMPORT


@pytest.mark.parametrize("file", FILES, ids=str)
def test_no_module_imports_a_runtime_or_a_backend_at_module_level(file):
    names = list(imports(file, module_level=True))
    assert {name.partition(".")[0] for name in names} & RUNTIMES == set()
    shared = SHARED_BY_BACKENDS if layer(file) == "backends" else ()
    of_backends = [name for name in names if name.startswith("bakeoff.backends")]
    assert all(any(f"{name}.".startswith(f"{one}.") for one in shared) for name in of_backends), of_backends


@pytest.mark.parametrize("file", [f for f in FILES if layer(f) != "backends"], ids=str)
def test_the_core_imports_no_backend_at_all(file):
    assert not any(name.startswith("bakeoff.backends") for name in imports(file, module_level=False))


def loaded_after(code: str) -> set[str]:
    """Return the top-level modules in a fresh interpreter after some code."""
    program = f"{code}\nimport sys; print('\\n'.join({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split("\n"))


def test_import_bakeoff_imports_nothing_heavy():
    assert loaded_after("import bakeoff") & {*RUNTIMES, "numpy", "cv2", "scipy", "msgspec", "matplotlib"} == set()


@pytest.mark.parametrize("command", [[], ["run"], ["backends"], ["plan"], ["convert"], ["compare"], ["predict"]])
def test_help_imports_nothing_heavy(command):
    code = f"from bakeoff.cli import invoke; invoke({[*command, '--help']})"
    assert loaded_after(code) & {*RUNTIMES, "numpy", "cv2", "scipy", "matplotlib"} == set()


def test_listing_the_backends_imports_none_of_them():
    loaded = loaded_after("from bakeoff import registry; assert registry.names()")
    assert loaded & RUNTIMES == set()
