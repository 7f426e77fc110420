"""Ground truth and detections of a whole image set, as flat tables ordered by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bakeoff.data.letterbox import Geometry
from bakeoff.data.yolo import Labels


@dataclass(frozen=True, kw_only=True)
class GroundTruth:
    """All true boxes: image index (n,), class (n,), corner boxes (n, 4) in canvas pixels and in frame pixels."""

    images: int
    class_names: tuple[str, ...]
    image: npt.NDArray[np.int32]
    classes: npt.NDArray[np.int32]
    canvas_xyxy: npt.NDArray[np.float32]
    frame_xyxy: npt.NDArray[np.float64]

    @classmethod
    def of(cls, labels: Sequence[Labels], geometries: Sequence[Geometry], names: tuple[str, ...]) -> GroundTruth:
        """Place every image's normalised boxes on its canvas and on its frame."""
        canvas, frame = [np.zeros((0, 4), np.float32)], [np.zeros((0, 4))]
        for one, geometry in zip(labels, geometries, strict=True):
            canvas.append(geometry.to_canvas(one.xywhn))
            xywh = one.xywhn.astype(np.float64) * (*geometry.frame_wh, *geometry.frame_wh)
            half = xywh[:, 2:] / 2
            frame.append(np.concatenate((xywh[:, :2] - half, xywh[:, :2] + half), 1))
        counts = [len(one.classes) for one in labels]
        return cls(
            images=len(labels),
            class_names=names,
            image=np.repeat(np.arange(len(labels), dtype=np.int32), counts),
            classes=np.concatenate([np.zeros(0, np.int32), *(one.classes for one in labels)]),
            canvas_xyxy=np.concatenate(canvas),
            frame_xyxy=np.concatenate(frame),
        )

    def per_class(self, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Count boxes of each class under image weights (images, B): (classes, B)."""
        table = np.zeros((len(self.class_names), self.images))
        np.add.at(table, (self.classes, self.image), 1)
        return np.asarray(table @ weights)


@dataclass(frozen=True, kw_only=True)
class DetectionTable:
    """All detections of one Candidate: by image, best first within each; boxes (n, 4) in canvas pixels, unclipped."""

    image: npt.NDArray[np.int32]
    xyxy: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    classes: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.scores)

    def in_frames(self, geometries: Sequence[Geometry]) -> npt.NDArray[np.float64]:
        """Return the boxes (n, 4) as delivered: in frame pixels, clipped."""
        result = np.empty((len(self), 4))
        bounds = np.searchsorted(self.image, np.arange(len(geometries) + 1))
        for geometry, start, stop in zip(geometries, bounds[:-1], bounds[1:], strict=True):
            result[start:stop] = geometry.to_frame(self.xyxy[start:stop])
        return result
