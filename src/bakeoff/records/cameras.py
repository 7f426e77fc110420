"""How many cameras a Candidate serves, from open-loop arrivals."""

from __future__ import annotations

from bakeoff.records.base import Record


class CameraLevel(Record, frozen=True, kw_only=True):
    """One number of cameras on one number of streams, all repetitions together."""

    streams: int
    cameras: int
    repetitions: int
    generations: int  # of processes that they come from
    frames: int  # that were scheduled: done and dropped
    late: int  # done, but later than the SLO
    dropped: int  # replaced by the same camera's next frame before any stream took them
    percentile_ms: float | None  # at the percentile asked for; None: that frame was dropped, or `holds` is None
    median_ms: float | None  # likewise
    service_ms: float  # median from a stream taking a frame to its Detections
    wake_up_ms: float | None  # p99 of how late idle streams woke up; None: none was ever idle
    holds: bool | None  # None: too few repetitions or frames to tell


class Cameras(Record, frozen=True, kw_only=True):
    """The largest number of cameras whose frames are done in time, of the number of streams that serves most."""

    fps: float  # of each camera
    slo_ms: float  # limit of the latency from the scheduled arrival
    percentile: float  # share of frames that must keep it, percent; a dropped one does not
    cameras: int | None = None  # None: the measurements do not tell
    low: int | None = None  # its 95% interval
    high: int | None = None  # None: nothing that was measured bounds it
    streams: int | None = None
    near: int | None = None  # what all repetitions together point at, also where they are too few to tell
    settled: bool = False  # one camera more was measured and does not hold
    seconds: float = 0.0  # of arrivals, all levels
    levels: tuple[CameraLevel, ...] = ()

    def level(self, cameras: int) -> CameraLevel | None:
        """Return what was measured of a number of cameras with the streams of the answer."""
        found = (one for one in self.levels if one.cameras == cameras and one.streams == self.streams)
        return next(found, None)
