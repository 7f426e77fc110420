"""The frame cache: every validation image decoded and letterboxed once, for all Candidates.

Two flat files in the Run's folder: `canvases.u8`, each image letterboxed, read for accuracy; `frames.u8`, the first
images as decoded, read for timing. Children read them with `pread` into their own memory, so that neither their peak
memory nor a timed prediction pays for page faults of a memory map.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np

from bakeoff.data.images import Frame, decode
from bakeoff.data.letterbox import Geometry, letterbox
from bakeoff.errors import InputError, StoreError

FRAME_BYTES_LIMIT = 1 << 30  # of decoded frames kept for timing; canvases are kept for every image


class FrameIndex(msgspec.Struct, frozen=True, kw_only=True):
    """What the cache holds: sizes of all images, offsets of the frames kept for timing."""

    imgsz: int
    frame_wh: tuple[tuple[int, int], ...]
    offsets: tuple[int, ...]

    @property
    def images(self) -> int:
        """Number of images."""
        return len(self.frame_wh)


def build(
    folder: Path,
    images: Sequence[Path],
    imgsz: int,
    timed_frames: int,
    progress: Callable[[int], None] = lambda done: None,
    threads: int = 2,
) -> FrameIndex:
    """Decode and letterbox `images` into `folder`; the first `timed_frames` are kept as frames too (1 GiB at most).

    Raises:
        InputError: images that can't be decoded, all of them named or counted.
        StoreError: there is no room for the cache.
    """
    folder.mkdir(parents=True, exist_ok=True)
    canvas_bytes = imgsz * imgsz * 3
    need = canvas_bytes * len(images)
    free = shutil.disk_usage(folder).free
    if need > free:
        raise StoreError(
            f"no space for the frame cache in {folder}: {need / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free; "
            "choose another --out or fewer images (--images)"
        )
    sizes: list[tuple[int, int]] = [(0, 0)] * len(images)
    offsets: dict[int, int] = {}
    broken: list[tuple[int, InputError]] = []
    end, done = 0, 0
    lock = threading.Lock()
    local = threading.local()

    with (folder / "canvases.u8").open("wb") as canvases, (folder / "frames.u8").open("wb") as frames:

        def one(i: int) -> None:
            nonlocal end, done
            try:
                frame = decode(images[i])
            except InputError as error:
                with lock:
                    broken.append((i, error))
                return
            if not hasattr(local, "canvas"):
                local.canvas = np.empty((imgsz, imgsz, 3), np.uint8)
            letterbox(frame, local.canvas)
            os.pwrite(canvases.fileno(), local.canvas.data, i * canvas_bytes)
            sizes[i] = (frame.shape[1], frame.shape[0])
            start = None
            with lock:
                if i < timed_frames and (end + frame.nbytes <= FRAME_BYTES_LIMIT or not offsets):
                    start, end = end, end + frame.nbytes
                    offsets[i] = start
                done += 1
                progress(done)
            if start is not None:
                os.pwrite(frames.fileno(), np.ascontiguousarray(frame).data, start)

        try:
            with ThreadPoolExecutor(threads) as pool:
                for _ in pool.map(one, range(len(images))):
                    pass
        except OSError as error:
            raise StoreError(
                f"frame cache in {folder} cannot be written: {error.strerror or error}; "
                "free some space or choose another --out"
            ) from error
    if broken:
        broken.sort(key=lambda pair: pair[0])
        if len(broken) == 1:
            raise broken[0][1]
        names = ", ".join(str(images[i]) for i, _ in broken[:5]) + (", …" if len(broken) > 5 else "")
        raise InputError(
            f"{len(broken)} of {len(images)} images cannot be read: {names}; repair or remove them; "
            f"the first: {broken[0][1]}"
        )
    kept = 0
    while kept in offsets:  # the frames for timing are the first ones, without a gap
        kept += 1
    index = FrameIndex(imgsz=imgsz, frame_wh=tuple(sizes), offsets=tuple(offsets[i] for i in range(kept)))
    (folder / "index.json").write_bytes(msgspec.json.encode(index))
    return index


class FrameCache:
    """A reader of the cache; `close` it, or use it as a context manager."""

    def __init__(self, folder: Path) -> None:
        self.index = msgspec.json.decode((folder / "index.json").read_bytes(), type=FrameIndex)
        self._canvases = (folder / "canvases.u8").open("rb", buffering=0)
        self._frames = (folder / "frames.u8").open("rb", buffering=0)

    def __enter__(self) -> FrameCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._canvases.close()
        self._frames.close()

    def geometry(self, i: int) -> Geometry:
        """Where image `i` lies on its canvas."""
        return Geometry.of(self.index.frame_wh[i], self.index.imgsz)

    def read_canvas(self, i: int, canvas: Frame) -> None:
        """Read letterboxed image `i` into `canvas` (imgsz, imgsz, 3)."""
        _read(self._canvases.fileno(), canvas, i * canvas.nbytes)

    def frame(self, i: int) -> Frame:
        """Return a private copy of a decoded frame (h, w, 3); `i` cycles over the frames kept for timing."""
        i %= len(self.index.offsets)
        width, height = self.index.frame_wh[i]
        frame = np.empty((height, width, 3), np.uint8)
        _read(self._frames.fileno(), frame, self.index.offsets[i])
        return frame


def _read(fd: int, into: Frame, offset: int) -> None:
    view = into.data.cast("B")
    got = 0
    while got < len(view):
        count = os.preadv(fd, [view[got:]], offset + got)
        if not count:
            raise StoreError("frame cache is shorter than its index says; delete its folder and run again")
        got += count
