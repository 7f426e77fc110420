"""Datasets in COCO's form: one json of boxes in pixels, its images in a folder nearby."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bakeoff.data import coco_json
from bakeoff.data.coco_json import Annotation, Document, Image
from bakeoff.data.labels import Labels, first_of_each
from bakeoff.errors import InputError, one_line


@dataclass(frozen=True, kw_only=True)
class CocoDataset:
    """A json's classes, image files and boxes; a `bakeoff.data.dataset.DatasetFiles`."""

    path: Path
    class_names: tuple[str, ...]
    validation: tuple[Path, ...]
    training: tuple[Path, ...]
    labels_of: Mapping[Path, Labels]

    def labels(self, image: Path) -> Labels:
        """Return an image's boxes."""
        return self.labels_of[image]

    @property
    def labels_from(self) -> str:
        """Where labels are expected."""
        return f"'annotations' in {self.path}"


def read_dataset(path: Path, model_class_names: Sequence[str] | None) -> CocoDataset:
    """Read a validation json, its classes in the Model's order where the names are the Model's.

    Args:
        path: of the json.
        model_class_names: `None` where the Model has none: then classes are in the order of their ids.

    Raises:
        InputError: the file is not such a json, one of its entries is wrong, or its images are nowhere near it.
    """
    document = coco_json.read(path, Document)
    files = _files(path, [image.file_name for image in document.images])
    image_of = _index(path, "image", [image.id for image in document.images])
    names, class_of = _classes(path, document, model_class_names)
    return CocoDataset(
        path=path,
        class_names=names,
        validation=tuple(sorted(files)),
        training=training_images(path),
        labels_of=dict(zip(files, _boxes(path, document, image_of, class_of), strict=True)),
    )


def images(path: Path) -> tuple[Path, ...]:
    """Return the image files that a json names, sorted by path; nothing else in it is read.

    Raises:
        InputError: the file is no such json, or its images are nowhere near it.
    """
    return tuple(sorted(_files(path, [image.file_name for image in coco_json.read(path, coco_json.ImageList).images])))


def training_images(path: Path) -> tuple[Path, ...]:
    """Return the images of the training json that belongs to a validation json; none where either is missing."""
    here, up = _folders(path)
    named_alike = here / re.sub("val(idation|id)?", "train", path.name)
    for candidate in (named_alike, *sorted(here.glob("instances_train*.json")), up / "train" / path.name):
        if candidate.is_file() and not candidate.samefile(path):
            try:
                return images(candidate)
            except InputError:  # devices often carry the validation images alone; INT8 is skipped then
                continue
    return ()


def _folders(path: Path) -> tuple[Path, Path]:
    """Return the json's folder and the one above it, which a relative path may not name."""
    here = path.parent
    return here, here.parent if here.name not in ("", "..") else here / ".."


def _files(path: Path, names: Sequence[str]) -> list[Path]:
    """Return the images' files, in the json's order, in the first folder nearby that has any of them."""
    if not names:
        raise InputError(f"dataset {path} names no images")
    names = [str(Path(name)) for name in names]  # one spelling of each
    _index(path, "image file", names)
    here, up = _folders(path)
    split = path.stem.removeprefix("instances_")
    folders = (here, here / "images", up / "images", up / split, up / "images" / split)
    for folder in folders:
        if any((folder / name).is_file() for name in names):
            return [folder / name for name in names]
    raise InputError(
        f"dataset {path}: none of its {len(names)} images is there, the first is {one_line(names[0], 120)}; "
        f"put them into one of {', '.join(map(str, folders))}"
    )


def _index(path: Path, called: str, ids: Sequence[Hashable]) -> dict[Hashable, int]:
    index: dict[Hashable, int] = {}
    for number, known in enumerate(ids):
        if known in index:
            raise InputError(f"dataset {path} has two entries of {called} {one_line(repr(known), 120)}; keep one")
        index[known] = number
    return index


def _classes(
    path: Path, document: Document, model_class_names: Sequence[str] | None
) -> tuple[tuple[str, ...], dict[Hashable, int]]:
    """Return the class names, and the class of each category id.

    Ids are arbitrary and have gaps, so the names decide where they are the Model's. Categories without any box are
    dropped where that makes the names the Model's, and where one is only the others' supercategory (Roboflow's 0).
    """
    categories = sorted(document.categories, key=lambda category: category.id)
    _index(path, "category", [category.id for category in categories])
    used = {annotation.category_id for annotation in document.annotations}
    if model_class_names is not None:
        needed = {c.id: c.name for c in categories if c.id in used or c.name in model_class_names}
        if len(set(needed.values())) == len(needed) and sorted(needed.values()) == sorted(model_class_names):
            return tuple(model_class_names), {known: model_class_names.index(name) for known, name in needed.items()}
    headings = [c.id for c in categories if any(c.name == o.supercategory for o in categories if o is not c)]
    kept = [c for c in categories if c.id in used or c.id not in headings]
    return tuple(c.name for c in kept), {c.id: i for i, c in enumerate(kept)}


def _boxes(
    path: Path, document: Document, image_of: Mapping[Hashable, int], class_of: Mapping[Hashable, int]
) -> Iterator[Labels]:
    """Yield every image's boxes, in the json's order of images."""
    entries = document.annotations
    image = np.array([image_of.get(one.image_id, -1) for one in entries], np.int64)
    classes = np.array([class_of.get(one.category_id, -1) for one in entries], np.float64)
    xywh = np.array([one.bbox for one in entries], np.float64).reshape(-1, 4)
    crowd = np.array([bool(one.iscrowd) for one in entries], bool)
    wrong = {
        "is of an image that the file does not have": image < 0,
        "is of a category that the file does not have": classes < 0,
        "has a bbox that is not all numbers": ~np.isfinite(xywh).all(1),
        "has a bbox of negative width or height": (xywh[:, 2:] < 0).any(1),
    }
    for what, where in wrong.items():
        if where.any():
            raise _refused(path, int(where.argmax()), entries[where.argmax()], what)
    sizes_wh = np.array([_frame_wh(path, one) for one in document.images], np.float64)
    table = np.column_stack((image, classes, xywh, crowd))[np.argsort(image, kind="stable")]
    rows = first_of_each(table)
    owner = rows[:, 0].astype(np.int64)
    xywh = rows[:, 2:6]
    xywh[:, :2] += xywh[:, 2:] / 2
    xywhn = xywh / np.tile(sizes_wh, 2)[owner]
    bounds = np.searchsorted(owner, np.arange(len(sizes_wh) + 1))
    dropped = np.bincount(image, minlength=len(sizes_wh)) - np.diff(bounds)
    for i, (width, height) in enumerate(sizes_wh.astype(int).tolist()):
        mine = slice(bounds[i], bounds[i + 1])
        yield Labels(
            classes=rows[mine, 1].astype(np.int32),
            xywhn=xywhn[mine],
            ignore=rows[mine, 6] > 0,
            duplicates=int(dropped[i]),
            frame_wh=(width, height),
        )


def _refused(path: Path, number: int, entry: Annotation, what: str) -> InputError:
    name = f"number {number} (without id)" if entry.id is None else repr(entry.id)
    holds = f"image_id {entry.image_id!r}, category_id {entry.category_id!r}, bbox {list(entry.bbox)}"
    return InputError(f"dataset {path}, annotation {one_line(name, 60)} {what} ({holds}); correct or remove it")


def _frame_wh(path: Path, image: Image) -> tuple[float, float]:
    if not all(0 < side < 2**31 and side == int(side) for side in (image.width, image.height)):
        raise InputError(
            f"dataset {path}, image {image.id!r}: its size is {image.width:g} x {image.height:g}; correct it"
        )
    return image.width, image.height
