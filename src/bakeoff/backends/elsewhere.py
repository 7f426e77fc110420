"""Artifacts made elsewhere: what every backend checks before one may stand beside ours. Not a backend.

What a file says of itself is read as Ultralytics writes it (`task`, `names`, `imgsz`, `args`), and believed only where
the network itself does not tell.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from bakeoff.errors import InputError, one_line
from bakeoff.records import Model

KEPT = ("description", "author", "version", "date", "license", "task", "imgsz", "batch", "args", "model_sha256")
LIMIT = 1 << 20  # bytes of metadata; more is rubbish
PRECISIONS = ("fp32", "tf32", "fp16", "bf16", "int8")
Shape = Sequence[int | None]  # None: free


def metadata_file(path: Path) -> dict[str, Any]:
    """Return what stands in a `metadata.yaml`; empty where there is none.

    Raises:
        InputError: it can't be read.
    """
    if not path.is_file():
        return {}
    try:
        if path.stat().st_size > LIMIT:
            raise ValueError("too large")
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"artifact metadata {path} cannot be read: {one_line(error, 120)}") from error
    return found if isinstance(found, dict) else {}


def write_metadata_file(path: Path, metadata: Mapping[str, Any]) -> None:
    """Write a `metadata.yaml`."""
    path.write_text(yaml.safe_dump(dict(metadata), sort_keys=False, allow_unicode=True), encoding="utf-8")


def model_of(path: Path, metadata: Mapping[str, Any], imgsz: int | None, class_names: Sequence[str]) -> Model:
    """Return the Model that an Artifact is of, by what it says of itself, for `Describer.describe`.

    Raises:
        InputError: it does not say its classes or its imgsz, and they were not given either.
    """
    names = tuple(class_names) or _names_said(metadata)
    if not names:
        raise InputError(f"artifact {path} does not name its classes; give the dataset's yaml with --data")
    said = _literal(metadata.get("imgsz"))
    sides = [side for side in (said if isinstance(said, (list, tuple)) else [said]) if isinstance(side, int)]
    side = imgsz or max(sides, default=0)
    if side < 1:
        raise InputError(f"artifact {path} does not say its imgsz; give --imgsz")
    stride = _literal(metadata.get("stride"))
    files = path.parent.glob(f"{path.stem}.*") if path.is_file() else path.glob("*")
    return Model(
        path=str(path),
        sha256=str(metadata.get("model_sha256", "")),
        size_bytes=sum(file.stat().st_size for file in files if file.is_file()),
        format="artifact",
        task="detect",  # another is refused by `check_metadata`
        class_names=names,
        stride=stride if isinstance(stride, int) else 32,
        imgsz=side,
    )


def _names_said(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the class names of metadata; none where they are missing or broken."""
    names = _literal(metadata.get("names"))
    if isinstance(names, dict):
        names = [names.get(index, names.get(str(index))) for index in range(len(names))]
    return tuple(map(str, names)) if isinstance(names, (list, tuple)) and None not in names else ()


def check_metadata(path: Path, metadata: Mapping[str, Any], model: Model) -> dict[str, str]:
    """Refuse what says of itself that it is for something else, and return what is worth keeping of it.

    Raises:
        InputError: another task, NMS inside, or other classes.
    """
    task = metadata.get("task", model.task)
    if task != model.task:
        raise InputError(f"artifact {path} is for task {one_line(str(task), 40)!r}; the Model's is {model.task!r}")
    arguments = _literal(metadata.get("args"))
    inside = [_literal(metadata.get("end2end")), arguments.get("nms") if isinstance(arguments, dict) else None]
    if any(value is True for value in inside):
        raise InputError(f"artifact {path} has NMS inside, which bakeoff can't decode yet; make it with nms=False")
    names = _literal(metadata.get("names"))
    if isinstance(names, (dict, list, tuple)) and names:
        _check_names(path, list(names.values()) if isinstance(names, dict) else list(names), model)
    return {key: one_line(str(metadata[key]), 200) for key in KEPT if key in metadata}


def check_images(path: Path, model: Model, images: Shape) -> str:
    """Refuse an input that is not (batch, 3, imgsz, imgsz), and return the Candidate's shape in the words of keys.

    Raises:
        InputError: naming what was found.
    """
    if len(images) != 4 or images[1] not in (3, None):
        raise InputError(f"artifact {path}: its input is {_shown(images)}; expected (batch, 3, height, width)")
    batch, _, height, width = images
    if height != width:
        raise InputError(f"artifact {path} takes {width}x{height} images; only square inputs so far")
    if height not in (None, model.imgsz):
        raise InputError(f"artifact {path} takes imgsz {height}, but this is about {model.imgsz}; try --imgsz {height}")
    if batch not in (None, 1):
        raise InputError(
            f"artifact {path} takes batches of {batch} only; accuracy is measured one image at a time: "
            "make it with batch 1 or a dynamic batch"
        )
    return "dyn" if batch is None else f"b{batch}"


def check_head(path: Path, model: Model, head: Shape) -> None:
    """Refuse a first output that is not (batch, 4 + classes, anchors).

    Raises:
        InputError: naming what was found.
    """
    classes = len(model.class_names)
    if len(head) != 3 or head[1] not in (None, 4 + classes):
        what = "NMS inside, or other classes" if len(head) == 3 and head[2] == 6 else "other classes, or another head"
        raise InputError(
            f"artifact {path}: its output is {_shown(head)}, but {classes} classes make (batch, {4 + classes}, "
            f"anchors): {what}"
        )


def precision_said(path: Path, metadata: Mapping[str, Any], plain: str) -> str:
    """Return the precision that a file says it has, for formats that do not show it otherwise, such as engines.

    Args:
        path: its name is looked at last: `board-fp16.engine`.
        metadata: `precision` as bakeoff writes it, or Ultralytics' `args` (`quantize`, `int8`, `half`).
        plain: what it is where Ultralytics' `args` are there and ask for nothing.

    Raises:
        InputError: nothing says it.
    """
    if (said := metadata.get("precision")) is not None:
        return str(said)
    arguments = _literal(metadata.get("args"))
    if isinstance(arguments, dict):
        quantize = arguments.get("quantize")
        if quantize == 8 or arguments.get("int8") is True:
            return "int8"
        return "fp16" if quantize == 16 or arguments.get("half") is True else plain
    words = [word for word in re.split(r"[^a-z0-9]+", path.stem.lower()) if word in PRECISIONS]
    if len(set(words)) == 1:
        return words[0]
    raise InputError(
        f"artifact {path} does not say which precision it was built for; "
        f"put the word into its name, such as {one_line(path.stem, 40)}-fp16{path.suffix}"
    )


def _check_names(path: Path, names: Sequence[object], model: Model) -> None:
    ours, theirs = model.class_names, [str(name) for name in names]
    if len(ours) != len(theirs):
        raise InputError(
            f"artifact {path} has {len(theirs)} classes, the Model {model.path} has {len(ours)}; "
            "give one that was made of this Model"
        )
    wrong = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b), None)
    if model.named and wrong is not None:
        raise InputError(
            f"class {wrong} is {one_line(theirs[wrong], 40)!r} in artifact {path} but {ours[wrong]!r} in the Model "
            f"{model.path}; give one that was made of this Model"
        )


def _literal(value: object) -> Any:
    """Return a value that Ultralytics wrote as text, or the value itself; text that is no literal stays text."""
    if not isinstance(value, str) or len(value) > LIMIT:
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return value


def _shown(shape: Shape) -> str:
    return f"({', '.join('any' if size is None else str(size) for size in shape)})"
