"""`predict.py` beside an Artifact: one short file that predicts without bakeoff.

It is put together of Python that stands here and beside the backends, where it is checked like all else. Constants get
their values; the types, which only checkers read, and docstrings within are left out, to keep it short.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bakeoff.records import Candidate, Model, Script
from bakeoff.version import __version__

TEMPLATE = Path(__file__).with_name("template.py")
LINES, WIDTH = 60, 120
FOREIGN = ("import cv2", "import numpy")  # last of the import lines


def predict_py(script: Script, candidate: Candidate, model: Model, confidence: float) -> str:
    """Return the text of a `predict.py`: its runtime's part, then letterbox, decoding and suppression."""
    values = {"NAMES": list(model.class_names), "IMGSZ": model.imgsz, "CONF": confidence, **script.values}
    own, common = _Parts(script.source, values), _Parts(TEMPLATE.read_text(encoding="utf-8"), values)
    constants = {names: line for names, line in own.constants.items() if names not in (("IMGSZ",), ("CONF",))}
    imports = sorted({*own.imports, *common.imports}, key=lambda line: (line.startswith(FOREIGN), line[:4], line))
    head = (
        _docstring(script, candidate, model),
        "\n".join(imports),
        "\n".join({**common.constants, **constants}.values()),
    )
    functions = {**common.rest, **own.rest}.values()
    spacious = "\n\n".join(head) + "".join(f"\n\n\n{text}" for text in functions) + "\n"
    compact = "\n".join(head) + "".join(f"\n\n{text}" for text in functions) + "\n"
    return spacious if spacious.count("\n") <= LINES else compact


class _Parts:
    """Python split into import lines, constants with their values, and functions and what runs, by name."""

    def __init__(self, source: str, values: Mapping[str, Any]) -> None:
        self.imports: list[str] = []
        self.constants: dict[tuple[str, ...], str] = {}
        self.rest: dict[str, str] = {}
        lines = source.splitlines()
        for node in ast.parse(source).body:
            text = "\n".join(lines[node.lineno - 1 : node.end_lineno])
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                self.imports += [] if "typing" in text else [text]
            elif isinstance(node, ast.Assign):
                targets = node.targets[0].elts if isinstance(node.targets[0], ast.Tuple) else [node.targets[0]]
                names = tuple(ast.unparse(target) for target in targets)
                comment = re.search("  # .*$", text)
                filled = ", ".join(repr(values[name]) for name in names)
                self.constants[names] = f"{', '.join(names)} = {filled}{comment.group() if comment else ''}"
            elif not isinstance(node, ast.Expr):
                self.rest[getattr(node, "name", "")] = _plain(text)


def _plain(text: str) -> str:
    """Return a function without types, docstring and empty lines."""
    text = re.sub(r'\n    """.*"""', "", text)
    text = re.sub(r" -> [^:\n]+:\n", ":\n", text).replace(": Any", "")
    return re.sub(r"\n\n+", "\n", text)


def _docstring(script: Script, candidate: Candidate, model: Model) -> str:
    name = re.sub(r"[^\w .+-]", "?", Path(model.path).name)
    needs = f"Needs NumPy, OpenCV, {script.needs}. {script.notes}{' ' if script.notes else ''}By bakeoff {__version__}."
    lines = [f"{name} as {candidate.key}: `python predict.py IMAGE...` prints boxes as lines of JSON."]
    return '"""' + "\n".join([*lines, *textwrap.wrap(needs, WIDTH - 3)]) + '"""'
