"""The one door to datasets: what the steps see of each, whatever its format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bakeoff.data import coco, yolo
from bakeoff.data.images import list_images
from bakeoff.data.labels import NOTHING, Labels
from bakeoff.errors import InputError


class DatasetFiles(Protocol):
    """Images with their true boxes. A format is one file beside this one, and one line in `open_dataset`."""

    @property
    def path(self) -> Path:
        """What was given."""
        ...

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes that labels speak of."""
        ...

    @property
    def validation(self) -> tuple[Path, ...]:
        """The images that accuracy is measured on, sorted; not all need exist."""
        ...

    @property
    def training(self) -> tuple[Path, ...]:
        """The images that calibration may draw from, sorted; none where there is no such split here."""
        ...

    @property
    def labels_from(self) -> str:
        """Where labels are expected, in words."""
        ...

    def labels(self, image: Path) -> Labels:
        """Return a validation image's boxes.

        Raises:
            InputError: they are broken.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Unlabelled:
    """Images alone, for a Run without labels."""

    path: Path
    class_names: tuple[str, ...]
    validation: tuple[Path, ...]
    training: tuple[Path, ...]
    labels_from: str = "none"

    def labels(self, image: Path) -> Labels:
        """Return no boxes."""
        return NOTHING


def open_dataset(
    path: Path, model_class_names: tuple[str, ...], *, named: bool = True, labels: bool = True
) -> DatasetFiles:
    """Open a dataset yaml, a COCO json or, where no labels are wanted, a folder of images.

    Args:
        path: of any of these.
        model_class_names: the Model's; a json's classes follow them by name, images alone take them over.
        named: whether the Model's file carries these names; otherwise they are numbers.
        labels: whether labels are wanted. Without, none is read: broken ones do not matter.

    Raises:
        InputError: it is no dataset, with what is wrong.
    """
    if path.is_dir():
        if labels:
            raise InputError(
                f"dataset {path} is a folder: give its data.yaml or its COCO json, "
                "or add --no-labels to compare without labels"
            )
        images = list_images(path)
        if not images:
            raise InputError(f"dataset {path} is a folder without images")
        return Unlabelled(path=path, class_names=model_class_names, validation=tuple(images), training=())
    if path.suffix.lower() == ".json":
        if labels:
            return coco.read_dataset(path, model_class_names if named else None)
        files, training = coco.images(path), coco.training_images(path)
        return Unlabelled(path=path, class_names=model_class_names, validation=files, training=training)
    read = yolo.read_dataset(path)
    if labels:
        return read
    return Unlabelled(path=path, class_names=read.class_names, validation=read.validation, training=read.training)


def check_sizes(
    dataset: DatasetFiles, images: Sequence[Path], labels: Sequence[Labels], frames_wh: Sequence[tuple[int, int]]
) -> None:
    """Refuse labels whose boxes were measured on an image of another size than the decoded one.

    Raises:
        InputError: naming the first such image and both sizes.
    """
    for image, one, decoded in zip(images, labels, frames_wh, strict=True):
        if one.frame_wh is not None and one.frame_wh != decoded:
            turned = " once its EXIF rotation is applied" if one.frame_wh == decoded[::-1] else ""
            raise InputError(
                "image {} is {} x {} pixels{}, but dataset {} says {} x {}, so its boxes may lie elsewhere; "
                "export the dataset again from these images".format(
                    image, *decoded, turned, dataset.path, *one.frame_wh
                )
            )
