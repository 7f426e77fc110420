"""Reading COCO's json: only the fields that are needed, fast, and with errors that name the entry."""

from __future__ import annotations

import json
import mmap
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bakeoff.errors import InputError, one_line

Id = int | float | str  # integers by the format; tools write others too


class ImageName(msgspec.Struct, gc=False):
    """One image, as a file."""

    file_name: str


class Image(ImageName, kw_only=True, gc=False):
    """One image; its size in pixels."""

    id: Id
    width: float
    height: float


class Category(msgspec.Struct, kw_only=True, gc=False):
    """One class."""

    id: int | float
    name: str
    supercategory: Any = None


class Annotation(msgspec.Struct, kw_only=True, gc=False):
    """One box: left, top, width, height in pixels. Segmentations are not read."""

    id: Id | None = None  # only to name it
    image_id: Id
    category_id: int | float
    bbox: tuple[float, float, float, float]
    iscrowd: bool | int = 0


class ImageList(msgspec.Struct):
    """A file of which only the images matter."""

    images: list[ImageName]


class Document(msgspec.Struct):
    """A whole file."""

    images: list[Image]
    categories: list[Category]
    annotations: list[Annotation]


D = TypeVar("D", Document, ImageList)


def read(path: Path, kind: type[D]) -> D:
    """Read a file.

    Raises:
        InputError: it is none, with the place or the entry at fault.
    """
    try:
        # mapped, not read: a file of hundreds of MB is parsed once and never wholly in memory
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            return msgspec.json.decode(text, type=kind)
    except OSError as error:
        raise InputError(f"dataset {path} cannot be read: {error.strerror or error}") from error
    except ValueError:  # of msgspec, or an empty file
        return _read_slowly(path, kind)


def _read_slowly(path: Path, kind: type[D]) -> D:
    """Read a file by Python's own parser: it tells the line, and takes NaN, which is refused later with its entry."""
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"dataset {path} is broken json: {one_line(error, 120)}") from error
    if not isinstance(document, dict) or not all(isinstance(document.get(n), list) for n in kind.__struct_fields__):
        needed = ", ".join(repr(name) for name in kind.__struct_fields__)
        raise InputError(f"dataset {path} is not in COCO's form: it needs the lists {needed}")
    entries = {"images": ("image", Image if kind is Document else ImageName),
               "categories": ("category", Category), "annotations": ("annotation", Annotation)}  # fmt: skip
    for name in kind.__struct_fields__:
        called, type_ = entries[name]
        for number, entry in enumerate(document[name]):
            try:
                msgspec.convert(entry, type_)
            except msgspec.ValidationError as error:
                known = entry.get("id") if isinstance(entry, dict) else None
                which = f"number {number} (without id)" if known is None else one_line(repr(known), 60)
                raise InputError(f"dataset {path}, {called} {which}: {one_line(error, 120)}") from error
    return msgspec.convert(document, kind)
