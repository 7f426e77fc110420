"""Datasets in Ultralytics' form: a yaml file that names image folders, and a text file of boxes for each image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from bakeoff.data.images import is_image, list_images
from bakeoff.data.labels import Labels, first_of_each
from bakeoff.errors import InputError, one_line

TOLERANCE = 0.01  # how far a normalised coordinate may lie outside 0..1: Ultralytics' own allowance


@dataclass(frozen=True, kw_only=True)
class YoloDataset:
    """A yaml's names and image files; a `bakeoff.data.dataset.DatasetFiles`."""

    path: Path
    class_names: tuple[str, ...]
    validation: tuple[Path, ...]
    training: tuple[Path, ...]

    def labels(self, image: Path) -> Labels:
        """Read an image's label file; see `read_labels`."""
        return read_labels(image, self.class_names)

    @property
    def labels_from(self) -> str:
        """Where labels are expected."""
        return f"files such as {label_path(self.validation[0])}"


def read_dataset(path: Path) -> YoloDataset:
    """Read a dataset yaml; folders in it are relative to its `path`, which is relative to the file.

    Raises:
        InputError: the file is not such a yaml, or a folder that it names is missing or empty.
    """
    document = _document(path)
    names = _class_names(path, document)
    if not document.get("val"):
        raise InputError(f"dataset {path} names no validation images: add 'val: FOLDER'")
    root = path.parent / str(document.get("path") or ".")
    if not root.is_dir() and Path(str(document["path"])).is_dir():
        root = Path(str(document["path"]))  # some write it relative to the folder that they work in
    if not root.is_dir():
        raise InputError(f"dataset {path}: its 'path', {root}, is no folder")
    validation = _images(path, root, "val", document["val"])
    if not validation:
        raise InputError(f"dataset {path}: no images under 'val: {document['val']}'")
    try:
        training = _images(path, root, "train", document["train"]) if document.get("train") else []
    except InputError:  # devices often carry the validation images alone; INT8 is skipped then, with that reason
        training = []
    return YoloDataset(path=path, class_names=names, validation=tuple(validation), training=tuple(training))


def read_names(path: Path) -> tuple[str, ...]:
    """Return the class names of a dataset yaml, whether or not its images are here.

    Raises:
        InputError: it is no such yaml.
    """
    return _class_names(path, _document(path))


def _document(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"dataset {path} cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no UTF-8, or a date that is none
        raise InputError(f"dataset {path} is not a yaml file: {one_line(error, 120)}") from error
    if not isinstance(document, dict):
        raise InputError(f"dataset {path} is not a dataset yaml: it needs 'names' and 'val'")
    return document


def _class_names(path: Path, document: dict[str, Any]) -> tuple[str, ...]:
    names = document.get("names")
    if isinstance(names, dict):
        try:
            by_index = {int(index): str(name) for index, name in names.items()}
        except (TypeError, ValueError):
            by_index = {}
        if by_index and sorted(by_index) == list(range(len(by_index))):
            return tuple(by_index[i] for i in range(len(by_index)))
    elif isinstance(names, list) and names:
        return tuple(str(name) for name in names)
    raise InputError(f"dataset {path}: 'names' must list the classes, or number them from 0 without a gap")


def _images(path: Path, root: Path, key: str, entry: object) -> list[Path]:
    """Return the images that one split names: a folder, a text list of images, an image, or a list of those."""
    found: list[Path] = []
    for item in entry if isinstance(entry, list) else [entry]:
        source = root / str(item)
        if not source.exists() and str(item).startswith("../"):
            source = root / str(item)[3:]  # Roboflow's exports go up one folder too many; Ultralytics forgives it too
        if source.is_dir():
            found += list_images(source)
        elif source.suffix == ".txt" and source.is_file():
            try:
                lines = source.read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise InputError(f"dataset {path}: list {source} cannot be read: {one_line(error, 120)}") from error
            for line in (line.strip() for line in lines if line.strip()):
                image = source.parent / line if line.startswith("./") else root / line
                found.append(image)
        elif is_image(source) and source.is_file():
            found.append(source)
        else:
            raise InputError(f"dataset {path}: '{key}: {item}' is no folder, image or list of images ({source})")
    return sorted(set(found))


def label_path(image: Path) -> Path:
    """Return where an image's labels are: `images` in its path becomes `labels`, the suffix `.txt`."""
    parts = list(image.parts)
    for i in range(len(parts) - 2, -1, -1):
        if parts[i] == "images":
            parts[i] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def read_labels(image: Path, class_names: tuple[str, ...]) -> Labels:
    """Read an image's boxes; a missing or empty file means a background image. Polygons become their boxes.

    Exact duplicates are dropped and counted, as Ultralytics does.

    Raises:
        InputError: a line that is not `class x y w h` with values in 0..1, with file and line number.
    """
    path = label_path(image)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"labels {path} cannot be read: {one_line(error, 120)}") from error
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    rows = [_box(f"{path}, line {number}", line, class_names) for number, line in lines]
    # Ultralytics sorts rows only where it drops duplicates; the order of boxes never changes a figure
    table = first_of_each(np.array(rows, np.float32).reshape(-1, 5))
    return Labels(classes=table[:, 0].astype(np.int32), xywhn=table[:, 1:], duplicates=len(rows) - len(table))


def _box(where: str, line: str, class_names: tuple[str, ...]) -> tuple[float, ...]:
    try:
        values = [float(word) for word in line.split()]
    except ValueError:
        values = []
    shown = one_line(line, 60)
    if not (len(values) == 5 or (len(values) >= 7 and len(values) % 2)) or not all(map(math.isfinite, values)):
        raise InputError(f"{where}: {shown!r} is not 'class x y width height'")
    index, points = values[0], values[1:]
    if index != int(index) or not 0 <= index < len(class_names):
        raise InputError(f"{where}: class {values[0]:g} is not one of the dataset's {len(class_names)} classes")
    if len(points) > 4:
        xs, ys = points[0::2], points[1::2]
        points = [(min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2, max(xs) - min(xs), max(ys) - min(ys)]
    if min(points) < -TOLERANCE or max(points) > 1 + TOLERANCE:
        raise InputError(f"{where}: {shown!r} is not normalised to 0..1")
    if min(points[2:]) < 0:
        raise InputError(f"{where}: {shown!r} has a negative width or height")
    return (index, *points)
