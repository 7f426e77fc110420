"""What a child does under load: frames of many cameras on schedule, and predictions back to back for minutes."""

from __future__ import annotations

import time

import numpy as np

from bakeoff.backend import Session
from bakeoff.data.frames import FrameCache
from bakeoff.models.tasks.detection import timed
from bakeoff.pipeline import Pipeline
from bakeoff.speed.arrivals import Schedule, ServerPool, hold_frames
from bakeoff.speed.sustain import predict_for
from bakeoff.worker import protocol as p
from bakeoff.worker import wire


class Loads:
    """One Session, frames in memory, and the Pipelines that were made for it; all are kept."""

    def __init__(self, session: Session, imgsz: int, cache: FrameCache, confidence: float) -> None:
        """Read frames of the cache into memory; Pipelines decode at this confidence."""
        self._session, self._imgsz, self._thresholds = session, imgsz, timed(confidence)
        self._frames = hold_frames(cache, len(cache.index.offsets))
        self._servers: dict[int, ServerPool] = {}
        self._single: Pipeline | None = None

    def answer(self, request: p.ServeCameras | p.Sustain) -> p.ServedCameras | p.Stretch:
        """Do what is asked."""
        return self._cameras(request) if isinstance(request, p.ServeCameras) else self._sustain(request)

    def _cameras(self, request: p.ServeCameras) -> p.ServedCameras:
        if request.streams not in self._servers:
            self._servers[request.streams] = ServerPool(
                [self._pipeline() for _ in range(request.streams)], self._frames
            )
        schedule = Schedule.draw(request.cameras, request.interval_ns, request.frames, request.seed)
        served = self._servers[request.streams].serve(schedule)
        return p.ServedCameras(
            phase_ns=wire.Array.of(served.phase_ns),
            wait_ns=wire.Array.of(served.wait_ns),
            latency_ns=wire.Array.of(served.latency_ns),
            slept=wire.Array.of(served.slept),
        )

    def _sustain(self, request: p.Sustain) -> p.Stretch:
        if self._single is None:
            self._single = self._pipeline()
        latencies, span = predict_for(self._single, self._frames, request.seconds, request.first_frame)
        return p.Stretch(latency_ns=wire.Array.of(np.array(latencies, np.int64)), span_ns=span)

    def _pipeline(self) -> Pipeline:
        return Pipeline(self._session, self._imgsz, 1, self._thresholds, time.perf_counter_ns)
