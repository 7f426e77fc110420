"""Image files: which count as one, how they are decoded, what they hash to."""

from __future__ import annotations

import glob
import hashlib
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from bakeoff.errors import InputError

# Ultralytics' own list (data/utils.py, IMG_FORMATS)
SUFFIXES = frozenset(
    {".avif", ".bmp", ".dng", ".heic", ".heif", ".jp2", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp"}
)
UNREAD = frozenset({".avif", ".heic", ".heif"})  # OpenCV reads no HEIF, and AVIF without its rotation

Frame = npt.NDArray[np.uint8]


def decode(path: Path) -> Frame:
    """Decode a file to a BGR frame (height, width, 3), uint8, EXIF rotation applied, as Ultralytics' loader does.

    Of 16 bits the upper 8 are kept.

    Raises:
        InputError: the file can't be read or is not an image.
    """
    suffix = path.suffix.lower()
    if suffix in UNREAD:
        raise InputError(
            f"image {path} is {suffix[1:].upper()}, which bakeoff does not read; convert it to PNG or JPEG"
        )
    # OpenCV would round 16-bit colour TIFF to 8 bits, where it cuts 16-bit PNG; Ultralytics cuts both
    flags = cv2.IMREAD_COLOR | (cv2.IMREAD_ANYDEPTH if suffix in (".tif", ".tiff") else 0)
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise InputError(f"image {path} cannot be read: {error.strerror or error}") from error
    frame = None
    if data.size:
        try:
            frame = cv2.imdecode(data, flags)
        except cv2.error:  # a header that lies about its size, for one
            frame = None
    if frame is None:
        raise InputError(f"image {path} cannot be decoded (empty, truncated or not an image)")
    if frame.dtype == np.uint16:
        frame = frame >> 8
    elif frame.dtype != np.uint8:
        raise InputError(f"image {path} has {frame.dtype} pixels; convert it to 8 or 16 bits a channel")
    return np.asarray(frame, np.uint8)


def save_small(source: Path, target: Path, side: int = 640) -> None:
    """Write a JPEG copy of an image whose longer side is `side` pixels at most.

    Raises:
        InputError: the image can't be decoded.
        OSError: the copy can't be written.
    """
    frame = decode(source)
    ratio = min(1.0, side / max(frame.shape[:2]))
    wh = (max(1, round(frame.shape[1] * ratio)), max(1, round(frame.shape[0] * ratio)))
    small = cv2.resize(frame, wh, interpolation=cv2.INTER_AREA) if ratio < 1 else frame
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 85])
    target.write_bytes(data.tobytes())


def is_image(path: Path) -> bool:
    """Whether the file's name says that it is an image."""
    return path.suffix.lower() in SUFFIXES


def list_images(folder: Path) -> list[Path]:
    """Return all images in a folder and below it, sorted by path; nothing hidden, as in Ultralytics."""
    names = glob.iglob("**/*.*", root_dir=folder, recursive=True)
    return sorted(path for path in map(folder.joinpath, names) if is_image(path) and path.is_file())


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
