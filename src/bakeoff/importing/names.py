"""Which Candidate a row is about: from its own columns, else its key, else the words of its label."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from bakeoff.errors import InputError, one_line
from bakeoff.importing.rows import NAMES, Row
from bakeoff.records import UNKNOWN, Candidate

KEY = re.compile(r"[A-Za-z0-9._+-]+(?:/[A-Za-z0-9._+-]+){2,}")
LABEL_LENGTH = 120
PARTS = ("backend", "precision", "shape")
WORDS = {
    "backend": (
        (r"tensorrt[-_ ]?(for[-_ ])?rtx", "tensorrt_rtx"),
        (r"tensorrt|trt", "tensorrt"),
        (r"onnx[-_ ]?runtime|ort", "onnxruntime"),
        (r"openvino", "openvino"),
        (r"torch[-_ ]?script", "torchscript"),
        (r"pytorch|torch", "pytorch"),
    ),
    "precision": (
        (r"int8\+fp32", "int8+fp32"),
        (r"fp32|float32", "fp32"),
        (r"tf32", "tf32"),
        (r"bf16|bfloat16", "bf16"),
        (r"fp16|float16|half", "fp16"),
        (r"int8", "int8"),
    ),
    "shape": ((r"dynamic|dyn", "dyn"), (r"static", "static"), (r"(?:batch|bs|b)[-_ ]?([1-9][0-9]*)", r"b\1")),
}


def name_of(path: Path, row: Row) -> str:
    """Return what the table calls a row.

    Raises:
        InputError: it has no name.
    """
    for column in NAMES:
        if column in row.cells:
            return one_line(row.cells[column], LABEL_LENGTH)
    raise InputError(f"table {path}, line {row.line}: neither candidate nor label is given; name the row")


def candidate_of(path: Path, row: Row) -> Candidate:
    """Return the Candidate of a row; what nothing says is `unknown`.

    Raises:
        InputError: its key and its other columns contradict each other.
    """
    name = name_of(path, row)
    key = name if KEY.fullmatch(name) else None
    label = one_line(row.cells.get("label", "" if key else name), LABEL_LENGTH)
    own = {part: _normal(part, row.cells[part]) for part in PARTS if part in row.cells}
    if key is None:
        said = {part: found for part in PARTS if (found := _found(part, f"{name} {label}")) is not None}
        parts = {"backend": _slug(name), "precision": UNKNOWN, "shape": UNKNOWN} | said | own
        candidate = Candidate(backend=parts["backend"], precision=parts["precision"], shape=parts["shape"])
    else:
        backend, precision, shape, *options = key.split("/")
        candidate = Candidate(backend=backend, precision=precision, shape=shape, options=tuple(options))
        for part, value in own.items():
            if getattr(candidate, part).lower() != value.lower():
                raise InputError(
                    f"table {path}, line {row.line}: {part} {row.cells[part]!r} is not that of its candidate {key}"
                )
    return msgspec.structs.replace(candidate, called=label) if label and label != candidate.label else candidate


def apart(candidate: Candidate) -> Candidate:
    """Return a Candidate whose key tells it from another row's with the same parts."""
    return msgspec.structs.replace(candidate, options=(*candidate.options, _slug(candidate.label)))


def _normal(part: str, cell: str) -> str:
    """Return a column's value as keys have it: `TensorRT` is `tensorrt`, `dynamic` is `dyn`."""
    for pattern, value in WORDS[part]:
        if match := re.fullmatch(pattern, cell, re.IGNORECASE):
            return match.expand(value)
    return _slug(cell)


def _found(part: str, text: str) -> str | None:
    """Return what the words of a label say of one part of the key."""
    for pattern, value in WORDS[part]:
        if match := re.search(rf"(?<![A-Za-z0-9])(?:{pattern})(?![A-Za-z0-9])", text, re.IGNORECASE):
            return match.expand(value)
    return None


def _slug(text: str) -> str:
    """Return text as one part of a key: lower case, and nothing that means something anywhere."""
    return re.sub(r"[^a-z0-9._+]+", "-", text.lower()).strip("-.") or UNKNOWN
