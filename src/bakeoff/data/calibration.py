"""Which images an INT8 conversion may see: a seeded draw that shares no content with the validation images."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bakeoff.data.images import content_hash, decode
from bakeoff.data.letterbox import Normaliser, letterbox
from bakeoff.errors import InputError

NAMED = 20  # files that an error names, of any number


def check_disjoint(pool: Sequence[Path], validation: Sequence[Path]) -> None:
    """Refuse a pool that shares an image with validation, by content.

    Only files of equal size are hashed, so a large training split costs little.

    Raises:
        InputError: an overlap, naming the files.
    """
    by_size: dict[int, list[Path]] = {}
    for path in validation:
        by_size.setdefault(_bytes(path), []).append(path)
    suspects = [path for path in pool if _bytes(path) in by_size]
    hashes = {content_hash(path): path for size in {_bytes(p) for p in suspects} for path in by_size[size]}
    shared = [(path, hashes[digest]) for path in suspects if (digest := content_hash(path)) in hashes]
    if shared:
        named = ", ".join(f"{ours} = {theirs}" for ours, theirs in shared[:NAMED])
        more = f" and {len(shared) - NAMED} more" if len(shared) > NAMED else ""
        raise InputError(
            f"{len(shared)} calibration images are validation images too: {named}{more}; "
            "give other images with --calibration DIR"
        )


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise InputError(f"image {path} cannot be read: {error.strerror or error}") from error


def draw(pool: Sequence[Path], count: int, seed: int) -> list[Path]:
    """Return `count` images of the pool (all, if it is smaller), drawn without replacement, the same for a seed."""
    ordered = sorted(pool)
    return random.Random(seed).sample(ordered, min(count, len(ordered)))


def tensors(images: Sequence[Path], imgsz: int) -> npt.NDArray[np.float32]:
    """Return the network inputs (n, 3, imgsz, imgsz) of the images, float32 in 0..1.

    Raises:
        InputError: an image that can't be decoded.
    """
    result = np.empty((len(images), 3, imgsz, imgsz), np.float32)
    canvas = np.empty((imgsz, imgsz, 3), np.uint8)
    normaliser = Normaliser(imgsz)
    for image, tensor in zip(images, result, strict=True):
        letterbox(decode(image), canvas)
        normaliser(canvas, tensor)
    return result
