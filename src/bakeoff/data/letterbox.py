"""The one way in which a frame becomes a network input, and boxes come back (contract 4).

r = imgsz / longer side; each side becomes min(ceil(side x r), imgsz), bilinear; centred on an imgsz x imgsz canvas
of grey 114; never rectangular. The rounding is that of Ultralytics' validation, not of its predict.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from bakeoff.data.images import Frame

GREY = 114
_UNIT = (np.arange(256) / 255).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Where a frame lies on its canvas."""

    frame_wh: tuple[int, int]
    resized_wh: tuple[int, int]
    left_top: tuple[int, int]

    @classmethod
    def of(cls, frame_wh: tuple[int, int], imgsz: int) -> Geometry:
        """Place a frame of `frame_wh` pixels on a canvas of imgsz x imgsz pixels."""
        ratio = imgsz / max(frame_wh)
        width, height = (max(1, min(math.ceil(side * ratio), imgsz)) for side in frame_wh)
        # the odd pixel of padding goes right and below
        return cls(
            frame_wh=frame_wh, resized_wh=(width, height), left_top=((imgsz - width) // 2, (imgsz - height) // 2)
        )

    @property
    def rows(self) -> slice:
        """The canvas rows that the frame touches; above and below them all is grey."""
        return slice(self.left_top[1], self.left_top[1] + self.resized_wh[1])

    def to_canvas(self, xywhn: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Turn normalised centre boxes (n, 4) into corner boxes (n, 4) in canvas pixels."""
        scale = np.array(self.resized_wh, np.float32)
        offset = np.array(self.left_top, np.float32)
        centre = xywhn[:, :2].astype(np.float32) * scale
        half = xywhn[:, 2:].astype(np.float32) * scale / 2
        return np.concatenate((centre - half + offset, centre + half + offset), 1)

    def to_frame(self, xyxy: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Turn corner boxes (n, 4) in canvas pixels into corner boxes in frame pixels, clipped to the frame."""
        offset = np.array((*self.left_top, *self.left_top), np.float32)
        scale = np.array(self.frame_wh, np.float32) / np.array(self.resized_wh, np.float32)
        boxes = (xyxy - offset) * np.concatenate((scale, scale))
        limit = np.array((*self.frame_wh, *self.frame_wh), np.float32)
        return np.asarray(np.clip(boxes, 0, limit), np.float32)


def letterbox(frame: Frame, canvas: Frame, *, padding: bool = True) -> Geometry:
    """Draw a BGR frame (h, w, 3) onto a canvas (imgsz, imgsz, 3), in place.

    Without `padding` the grey around the frame is left as it is: right where the last frame had the same size.
    """
    height, width = frame.shape[:2]
    imgsz = canvas.shape[0]
    geometry = Geometry.of((width, height), imgsz)
    (new_w, new_h), (left, top) = geometry.resized_wh, geometry.left_top
    if padding and (new_w, new_h) != (imgsz, imgsz):
        canvas[:top], canvas[top + new_h :] = GREY, GREY
        canvas[top : top + new_h, :left], canvas[top : top + new_h, left + new_w :] = GREY, GREY
    inside = canvas[top : top + new_h, left : left + new_w]
    if (width, height) == (new_w, new_h):
        inside[:] = frame
    else:
        cv2.resize(frame, (new_w, new_h), dst=inside, interpolation=cv2.INTER_LINEAR)
    return geometry


class Normaliser:
    """BGR canvas to RGB network input, with its buffers kept: a fresh 1 MB array costs more than the arithmetic.

    One instance serves one thread.
    """

    def __init__(self, imgsz: int) -> None:
        self._planes = list(np.empty((3, imgsz, imgsz), np.uint8))

    def __call__(self, canvas: Frame, tensor: npt.NDArray[np.float32], rows: slice = slice(None)) -> None:
        """Write a canvas (s, s, 3) of uint8, or some `rows` of it, into a tensor (3, s, s) of float32 in 0..1."""
        planes = [plane[rows] for plane in self._planes]
        cv2.split(canvas[rows], planes)
        for channel, plane in enumerate(planes):
            cv2.LUT(plane, _UNIT, dst=tensor[2 - channel, rows])
