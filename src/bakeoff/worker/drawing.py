"""Frames with their boxes drawn on them, as image files and videos."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np

from bakeoff.data.images import Frame
from bakeoff.data.sources import frame_rate
from bakeoff.errors import StoreError
from bakeoff.records import Prediction, Source

# Okabe and Ito's colours, which colour-blind people can tell apart; BGR
COLOURS = (
    (0, 159, 230), (233, 180, 86), (115, 158, 0), (66, 228, 240), (178, 114, 0), (0, 94, 213), (167, 121, 204),
)  # fmt: skip


def draw(frame: Frame, prediction: Prediction) -> None:
    """Draw boxes with class name and score onto a frame (h, w, 3), in place."""
    thick = max(1, round(max(frame.shape[:2]) / 500))
    scale = max(0.35, max(frame.shape[:2]) / 1600)
    found = zip(prediction.xyxy, prediction.scores, prediction.classes, prediction.names, strict=True)
    for (left, top, right, bottom), score, kind, name in reversed(list(found)):  # the best on top
        colour = COLOURS[kind % len(COLOURS)]
        corner = (round(left), round(top))
        cv2.rectangle(frame, corner, (round(right), round(bottom)), colour, thick)
        text = f"{name.encode('ascii', 'replace').decode()} {score:.2f}"  # OpenCV's font has no other letters
        (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
        x, y = min(corner[0], max(0, frame.shape[1] - width)), max(corner[1], height + below)
        cv2.rectangle(frame, (x, y - height - below), (x + width, y), colour, cv2.FILLED)
        black = (0, 0, 0)
        cv2.putText(frame, text, (x, y - below // 2), cv2.FONT_HERSHEY_SIMPLEX, scale, black, thick, cv2.LINE_AA)


class Drawer:
    """Writes a JPEG for each image and an MP4 for each other source, named after it, into one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._taken: set[str] = set()
        self._source: Source | None = None
        self._video: cv2.VideoWriter | None = None
        self._wh = (0, 0)

    def add(self, source: Source, frame: Frame, prediction: Prediction) -> None:
        """Draw one frame and write it; the frame itself is drawn on.

        Raises:
            StoreError: it can't be written.
        """
        draw(frame, prediction)
        if source.kind == "image":
            path = self._path(source, ".jpg")
            coded, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 90])
            assert coded
            try:
                path.write_bytes(data.tobytes())
            except OSError as error:
                raise StoreError(f"{path} cannot be written: {error.strerror or error}") from error
            return
        if source != self._source or self._video is None:
            self.close()
            path = self._path(source, ".mp4")
            self._source, self._wh = source, (frame.shape[1], frame.shape[0])
            self._video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), frame_rate(source), self._wh)
            if not self._video.isOpened():
                raise StoreError(f"{path} cannot be written as a video by this OpenCV; leave --draw out")
        if (frame.shape[1], frame.shape[0]) != self._wh:  # a stream may change; a file can't
            frame = np.asarray(cv2.resize(frame, self._wh), np.uint8)
        self._video.write(frame)

    def close(self) -> None:
        """Finish the video at hand, without which no player reads it."""
        if self._video is not None:
            self._video.release()
            self._video = None

    def _path(self, source: Source, suffix: str) -> Path:
        name = Path(source.name).stem if source.kind != "live" else re.sub("[^A-Za-z0-9.]+", "-", f"live-{source.name}")
        return self._folder / unused(name, suffix, self._taken)


def unused(name: str, suffix: str, taken: set[str]) -> str:
    """Return a file name that is not taken yet, numbered where another has it, and take it."""
    number = 1
    while (found := f"{name}{'' if number == 1 else f'-{number}'}{suffix}") in taken:
        number += 1
    taken.add(found)
    return found
