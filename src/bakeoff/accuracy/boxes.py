"""Ground truth and detections of a whole image set, as flat tables ordered by image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bakeoff.data.labels import Labels
from bakeoff.data.letterbox import Geometry
from bakeoff.models.tasks.detection import Detections

SCORED, DEPLOYED = "accuracy", "deployed"  # kinds of detections in a Run's samples: multi-label, or one label a box


@dataclass(frozen=True, kw_only=True)
class Regions:
    """Where finding is neither right nor wrong: image index (n,), class (n,), corner boxes (n, 4) in frame pixels."""

    image: npt.NDArray[np.int32]
    classes: npt.NDArray[np.int32]
    frame_xyxy: npt.NDArray[np.float64]

    @classmethod
    def none(cls) -> Regions:
        """Return no region."""
        return cls(image=np.zeros(0, np.int32), classes=np.zeros(0, np.int32), frame_xyxy=np.zeros((0, 4)))


@dataclass(frozen=True, kw_only=True)
class GroundTruth:
    """All true boxes: image index (n,), class (n,), corner boxes (n, 4) in canvas pixels and in frame pixels.

    Ignore regions stand apart: they are no boxes to be found, and only COCO's figures know them.
    """

    images: int
    class_names: tuple[str, ...]
    image: npt.NDArray[np.int32]
    classes: npt.NDArray[np.int32]
    canvas_xyxy: npt.NDArray[np.float32]
    frame_xyxy: npt.NDArray[np.float64]
    ignore: Regions = field(default_factory=Regions.none)

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
        image = np.repeat(np.arange(len(labels), dtype=np.int32), counts)
        classes = np.concatenate([np.zeros(0, np.int32), *(one.classes for one in labels)])
        frame_xyxy = np.concatenate(frame)
        true = np.concatenate([np.zeros(0, bool), *(one.true for one in labels)])
        return cls(
            images=len(labels),
            class_names=names,
            image=image[true],
            classes=classes[true],
            canvas_xyxy=np.concatenate(canvas)[true],
            frame_xyxy=frame_xyxy[true],
            ignore=Regions(image=image[~true], classes=classes[~true], frame_xyxy=frame_xyxy[~true]),
        )

    @classmethod
    def stored(cls, arrays: Mapping[str, npt.NDArray[Any]], images: int, class_names: tuple[str, ...]) -> GroundTruth:
        """Return what `arrays` put into a Run's samples; one of before ignore regions has none."""
        fields = {name: arrays[f"truth/{name}"] for name in ("image", "classes", "canvas_xyxy", "frame_xyxy")}
        ignore = Regions.none()
        if "truth/ignore/image" in arrays:
            ignore = Regions(**{name: arrays[f"truth/ignore/{name}"] for name in ("image", "classes", "frame_xyxy")})
        return cls(images=images, class_names=class_names, ignore=ignore, **fields)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the boxes by their names in a Run's samples."""
        names = ("image", "classes", "canvas_xyxy", "frame_xyxy")
        ignore = {f"truth/ignore/{name}": getattr(self.ignore, name) for name in ("image", "classes", "frame_xyxy")}
        return {**{f"truth/{name}": getattr(self, name) for name in names}, **ignore}

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

    @classmethod
    def of(cls, detections: Sequence[Detections]) -> DetectionTable:
        """Join the detections of images in order."""
        counts = [len(one) for one in detections]
        return cls(
            image=np.repeat(np.arange(len(counts), dtype=np.int32), counts),
            xyxy=np.concatenate([np.zeros((0, 4), np.float32), *(one.xyxy for one in detections)]),
            scores=np.concatenate([np.zeros(0, np.float32), *(one.scores for one in detections)]),
            classes=np.concatenate([np.zeros(0, np.int32), *(one.classes for one in detections)]),
        )

    def stored(self, key: str, kind: str = SCORED) -> dict[str, npt.NDArray[Any]]:
        """Return the detections by their names in a Run's samples."""
        return {f"{kind}/{key}/{name}": getattr(self, name) for name in ("image", "xyxy", "scores", "classes")}

    @classmethod
    def read(cls, arrays: Mapping[str, npt.NDArray[Any]], key: str, kind: str = SCORED) -> DetectionTable:
        """Return what `stored` put into a Run's samples."""
        return cls(**{name: arrays[f"{kind}/{key}/{name}"] for name in ("image", "xyxy", "scores", "classes")})

    def where(self, keep: npt.NDArray[np.bool_]) -> DetectionTable:
        """Return some of the detections, by a mask (n,)."""
        return DetectionTable(
            image=self.image[keep], xyxy=self.xyxy[keep], scores=self.scores[keep], classes=self.classes[keep]
        )

    def above(self, confidence: float) -> DetectionTable:
        """Return the detections that score more than a confidence, as a deployed detector delivers them."""
        return self.where(self.scores > confidence)

    def in_frames(self, geometries: Sequence[Geometry]) -> npt.NDArray[np.float64]:
        """Return the boxes (n, 4) as delivered: in frame pixels, clipped."""
        result = np.empty((len(self), 4))
        bounds = np.searchsorted(self.image, np.arange(len(geometries) + 1))
        for geometry, start, stop in zip(geometries, bounds[:-1], bounds[1:], strict=True):
            result[start:stop] = geometry.to_frame(self.xyxy[start:stop])
        return result
