"""Image files: which count as one, how they are decoded, what they hash to."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from bakeoff.errors import InputError

SUFFIXES = frozenset({".bmp", ".dng", ".jpeg", ".jpg", ".jp2", ".pfm", ".png", ".tif", ".tiff", ".webp"})

Frame = npt.NDArray[np.uint8]


def decode(path: Path) -> Frame:
    """Decode a file to a BGR frame (height, width, 3), uint8, EXIF rotation applied.

    Raises:
        InputError: the file can't be read or is not an image.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise InputError(f"image {path} cannot be read: {error.strerror or error}") from error
    frame = None
    if data.size:
        try:
            frame = cv2.imdecode(data, cv2.IMREAD_COLOR)
        except cv2.error:  # a header that lies about its size, for one
            frame = None
    if frame is None:
        raise InputError(f"image {path} cannot be decoded (empty, truncated or not an image)")
    return np.asarray(frame, np.uint8)


def is_image(path: Path) -> bool:
    """Whether the file's name says that it is an image."""
    return path.suffix.lower() in SUFFIXES


def list_images(folder: Path) -> list[Path]:
    """Return all images in a folder and below it, sorted by path."""
    return sorted(path for path in folder.rglob("*") if is_image(path) and path.is_file())


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
