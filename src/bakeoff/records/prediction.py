"""What `bakeoff predict` reads, and what it says of each frame."""

from __future__ import annotations

from typing import Any

from bakeoff.records.base import Artifact, Candidate, Model, Record


class Source(Record, frozen=True, kw_only=True):
    """Where frames come from."""

    kind: str  # image, video, or live: a camera or a stream, whose frames don't wait
    address: str  # path, number of a camera, or URL
    name: str  # the same as it may be shown: no password in it


class Prediction(Record, frozen=True, kw_only=True):
    """One frame's Detections, best first; as JSON, a line of `bakeoff predict`."""

    source: str  # path, number of a camera, or URL
    frame: int  # index within its source, from 0; of a live one those that were dropped count too
    width: int
    height: int
    xyxy: tuple[tuple[float, float, float, float], ...]  # pixels of the frame, to a thousandth
    scores: tuple[float, ...]
    classes: tuple[int, ...]
    names: tuple[str, ...]  # of the classes, one a box


class SavedArtifact(Artifact, frozen=True, kw_only=True):
    """An Artifact with all that predicting with it needs: what `artifact.json` beside its files holds."""

    candidate: Candidate
    model: Model
    confidence: float  # that Detections must exceed


class Script(Record, frozen=True, kw_only=True):
    """What a runtime needs to predict without bakeoff."""

    source: str  # Python with constants in capitals and a function `load() -> (images -> head output)`
    needs: str  # packages that it imports, beside NumPy and OpenCV
    notes: str = ""  # what a reader must know, in one line
    values: dict[str, Any] = {}  # of its constants
