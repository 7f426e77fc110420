"""What a child does for `bakeoff predict`: grab a frame, predict, draw; only the boxes cross the pipe."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from bakeoff.backend import Session
from bakeoff.data.sources import Grabbed, frames_of
from bakeoff.errors import InputError
from bakeoff.models.tasks.detection import Detections, timed
from bakeoff.pipeline import Pipeline
from bakeoff.records import Model, Prediction, Source
from bakeoff.worker import protocol as p
from bakeoff.worker.drawing import Drawer


class Predictions:
    """One Session, its Pipeline, and the sources that are left."""

    def __init__(self, session: Session, model: Model, request: p.OpenSources) -> None:
        self._pipeline = Pipeline(session, model.imgsz, 1, timed(request.confidence), time.perf_counter_ns)
        self._names = model.class_names
        self._drawer = None if request.draw is None else Drawer(Path(request.draw))
        self._unread: list[str] = []
        self._frames = self._all(request.sources)

    def next(self) -> p.Predicted:
        """Predict the next frame.

        Raises:
            StoreError: what was drawn can't be written.
        """
        found = next(self._frames, None)
        unread, self._unread = tuple(self._unread), []
        if found is None:
            self.close()
            return p.Predicted(unread=unread)
        source, grabbed = found
        (detections,), times = self._pipeline.predict([grabbed.frame])
        prediction = _prediction(source, grabbed, detections, self._names)
        draw_ns = None
        if self._drawer is not None:
            start = time.perf_counter_ns()
            self._drawer.add(source, grabbed.frame, prediction)
            draw_ns = time.perf_counter_ns() - start
        return p.Predicted(
            prediction=prediction,
            unread=unread,
            dropped=grabbed.dropped,
            decode_ns=grabbed.decode_ns,
            pre_ns=times.pre_ns,
            run_ns=times.run_ns,
            post_ns=times.post_ns,
            draw_ns=draw_ns,
        )

    def close(self) -> None:
        """Finish what is drawn."""
        if self._drawer is not None:
            self._drawer.close()

    def _all(self, sources: tuple[Source, ...]) -> Iterator[tuple[Source, Grabbed]]:
        """Yield the frames of all sources; what can't be read is noted, and the rest goes on."""
        for source in sources:
            try:
                for grabbed in frames_of(source):
                    yield source, grabbed
            except InputError as error:
                self._unread.append(str(error))


def _prediction(source: Source, grabbed: Grabbed, found: Detections, class_names: tuple[str, ...]) -> Prediction:
    """Return one frame's Detections as they are told; more digits than these would be noise."""
    return Prediction(
        source=source.name,
        frame=grabbed.index,
        width=grabbed.frame.shape[1],
        height=grabbed.frame.shape[0],
        xyxy=tuple(tuple(box) for box in found.xyxy.astype(float).round(3).tolist()),
        scores=tuple(found.scores.astype(float).round(5).tolist()),
        classes=tuple(found.classes.tolist()),
        names=tuple(class_names[index] for index in found.classes),
    )
