"""Where `bakeoff predict` gets its frames: what was named, and the frames in it."""

from __future__ import annotations

import glob
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np

from bakeoff.data.images import Frame, decode, is_image
from bakeoff.errors import InputError
from bakeoff.records import Source

# Ultralytics' own list (data/utils.py, VID_FORMATS)
VIDEO_SUFFIXES = frozenset(
    {".asf", ".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".wmv", ".webm"}
)
KINDS = "give images, videos, folders, the number of a camera, or a URL such as rtsp://…"
TIMEOUT_MS = 10_000  # to open a stream, and for each of its frames


@dataclass(frozen=True, kw_only=True)
class Grabbed:
    """One frame (h, w, 3), BGR, and what it took to have it."""

    frame: Frame
    index: int
    decode_ns: int | None = None  # of a live source: it is waited for, which is no work
    dropped: int = 0  # frames of a live source that came and went since the last one


def find(given: Sequence[str]) -> list[Source]:
    """Return the sources that some texts name, in their order: each image and video of a folder is one.

    Raises:
        InputError: a text names nothing that is there, or nothing with frames in it.
    """
    return [source for text in given for source in _of(text)]


def _of(text: str) -> list[Source]:
    path = Path(text)
    if "://" in text:
        return [Source(kind="live", address=text, name=_without_password(text))]
    if text.isdecimal() and not path.exists():
        return [Source(kind="live", address=text, name=text)]
    if path.is_dir():
        inside = [_file(one) for one in sorted(path.rglob("*")) if one.is_file() and not _hidden(one, path)]
        if found := [source for source in inside if source is not None]:
            return found
        raise InputError(f"source {text} is a folder without images or videos")
    if path.is_char_device():
        return [Source(kind="live", address=text, name=text)]
    if path.exists():
        if (source := _file(path)) is not None:
            return [source]
        raise InputError(f"source {text} is neither an image nor a video by its name; {KINDS}")
    if glob.has_magic(text):
        matched = [_file(one) for one in map(Path, sorted(glob.glob(text, recursive=True))) if one.is_file()]
        if found := [source for source in matched if source is not None]:
            return found
        raise InputError(f"source {text!r} matches no image or video")
    raise InputError(f"source {text} does not exist; {KINDS}")


def _file(path: Path) -> Source | None:
    video = path.suffix.lower() in VIDEO_SUFFIXES
    if not video and not is_image(path):
        return None
    return Source(kind="video" if video else "image", address=str(path), name=str(path))


def _hidden(path: Path, below: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(below).parts)


def _without_password(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.rpartition("@")[2]
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def frames_of(source: Source) -> Iterator[Grabbed]:
    """Yield a source's frames: all of an image or a video, the newest each time of a live one.

    Raises:
        InputError: it can't be opened or decoded, or a live one stopped.
    """
    if source.kind == "image":
        start = time.perf_counter_ns()
        frame = decode(Path(source.address))
        yield Grabbed(frame=frame, index=0, decode_ns=time.perf_counter_ns() - start)
    elif source.kind == "video":
        yield from _video(source)
    else:
        yield from _live(source)


def frame_rate(source: Source, otherwise: float = 25.0) -> float:
    """Return the frames a second that a video says it has."""
    if source.kind != "video":
        return otherwise
    capture = cv2.VideoCapture(source.address)
    try:
        rate = float(capture.get(cv2.CAP_PROP_FPS))
    finally:
        capture.release()
    return rate if 0 < rate < 1000 else otherwise


def _video(source: Source) -> Iterator[Grabbed]:
    capture = cv2.VideoCapture(source.address)
    index = 0
    try:
        while True:
            start = time.perf_counter_ns()
            there, frame = capture.read()
            if not there:
                break
            yield Grabbed(frame=np.asarray(frame, np.uint8), index=index, decode_ns=time.perf_counter_ns() - start)
            index += 1
        promised = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    finally:
        capture.release()
    if not index:
        raise InputError(f"video {source.name} cannot be decoded (empty, truncated, not a video, or an unknown codec)")
    if index < promised * 0.98 - 1:  # most containers only estimate it
        raise InputError(f"video {source.name} broke off after {index} of {promised} frames")


def _live(source: Source) -> Iterator[Grabbed]:
    if source.address.isdecimal():
        capture = cv2.VideoCapture(int(source.address))
    elif "://" in source.address:
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, TIMEOUT_MS]
        capture = cv2.VideoCapture(source.address, cv2.CAP_FFMPEG, limits)
    else:
        capture = cv2.VideoCapture(source.address)
    what = "stream" if "://" in source.address else "camera"
    if not capture.isOpened():
        capture.release()
        raise InputError(f"{what} {source.name} does not open; is it there, and in use by nobody else?")
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    newest = _Newest(capture)
    expected = 0
    try:
        while (taken := newest.take()) is not None:
            index, frame = taken
            yield Grabbed(frame=frame, index=index, dropped=index - expected)
            expected = index + 1
    finally:
        newest.close()
    raise InputError(f"{what} {source.name} stopped after {expected} frames")


class _Newest:
    """Reads a live source in a thread of its own, as fast as it comes, and keeps the newest frame alone.

    Read by the one who predicts, frames would queue in the driver, and Detections come later and later.
    """

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self._capture = capture
        self._changed = threading.Condition()
        self._frame: tuple[int, Frame] | None = None
        self._over = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def take(self) -> tuple[int, Frame] | None:
        """Wait for a frame that was not taken yet; `None` where none will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or self._over)
            frame, self._frame = self._frame, None
            return frame

    def close(self) -> None:
        """Stop reading."""
        with self._changed:
            self._over = True
        self._thread.join(TIMEOUT_MS * 1e-3 + 1)
        if not self._thread.is_alive():  # OpenCV crashes where one is released that another thread reads
            self._capture.release()

    def _read(self) -> None:
        index = 0
        while not self._over:
            there, frame = self._capture.read()
            with self._changed:
                self._over = self._over or not there
                if there:
                    self._frame = (index, np.asarray(frame, np.uint8))
                self._changed.notify()
            index += 1
