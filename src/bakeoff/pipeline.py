"""One frame in, Detections out: preprocess, Session, postprocess, each timed by the one clock that is handed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bakeoff.backend import Outputs, Session, images_for
from bakeoff.data.images import Frame
from bakeoff.data.letterbox import GREY, Geometry, Normaliser, letterbox
from bakeoff.models.tasks.detection import Detections, Thresholds, decode

Clock = Callable[[], int]  # nanoseconds, monotonic


@dataclass(frozen=True, kw_only=True)
class Times:
    """Durations of one prediction in nanoseconds; latency is their sum."""

    pre_ns: int
    run_ns: int
    post_ns: int


class Pipeline:
    """Predicts batches of frames with one Session; one instance a stream, since it keeps its buffers."""

    def __init__(self, session: Session, imgsz: int, batch: int, thresholds: Thresholds, clock: Clock) -> None:
        self._session = session
        self._thresholds = thresholds
        self._clock = clock
        self._canvases = np.full((batch, imgsz, imgsz, 3), GREY, np.uint8)
        self._images = images_for(session, (batch, 3, imgsz, imgsz))
        self._normalise = Normaliser(imgsz)
        self._sizes: list[tuple[int, ...] | None] = [None] * batch  # of the frames that the buffers hold

    def predict(self, frames: Sequence[Frame]) -> tuple[list[Detections], Times]:
        """Predict one batch of BGR frames (h, w, 3); boxes come back in pixels of each frame, clipped to it."""
        clock = self._clock
        start = clock()
        geometries = []
        for i, (frame, canvas, image) in enumerate(zip(frames, self._canvases, self._images, strict=True)):
            same = frame.shape == self._sizes[i]  # as from one camera: the grey around it stands already
            geometry = letterbox(frame, canvas, padding=not same)
            self._normalise(canvas, image, geometry.rows if same else slice(None))
            self._sizes[i] = frame.shape
            geometries.append(geometry)
        ready = clock()
        outputs = self._session.run(self._images)
        ran = clock()
        detections = [self._finish(head, geometry) for head, geometry in zip(outputs[0], geometries, strict=True)]
        end = clock()
        return detections, Times(pre_ns=ready - start, run_ns=ran - ready, post_ns=end - ran)

    def _finish(self, head: npt.NDArray[np.float32], geometry: Geometry) -> Detections:
        found = decode(head, self._thresholds)
        return Detections(xyxy=geometry.to_frame(found.xyxy), scores=found.scores, classes=found.classes)

    def raw(self, canvas: Frame) -> Outputs:
        """Return the raw outputs for one canvas (imgsz, imgsz, 3), for accuracy; batch 1 only."""
        self._sizes[0] = None
        self._normalise(canvas, self._images[0])
        return self._session.run(self._images)
