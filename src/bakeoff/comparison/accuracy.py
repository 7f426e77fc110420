"""Accuracy of one Candidate in two Runs on the same images: B minus A, paired by image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bakeoff.accuracy import bootstrap
from bakeoff.accuracy.boxes import DetectionTable, GroundTruth
from bakeoff.accuracy.evaluate import evaluate
from bakeoff.data.letterbox import Geometry
from bakeoff.judge import MIN_IMAGES
from bakeoff.records import FigureChange, RunRecord

COLUMNS = {"val_map50_95": "map50_95", "val_map50": "map50", "val_precision": "precision", "val_recall": "recall"}
Arrays = Mapping[str, npt.NDArray[Any]]
Read = Callable[..., Arrays]  # samples whose names begin with one of the prefixes


@dataclass(frozen=True, kw_only=True)
class Samples:
    """One Run's accuracy samples."""

    run: RunRecord
    read: Read
    _common: dict[str, Any] = field(default_factory=dict)

    def resamples(self, key: str, seed: int) -> dict[str, npt.NDArray[np.floating]]:
        """Score a Candidate's detections on the image sets that a seed draws: figure -> (B,).

        Raises:
            KeyError: its detections are not kept.
        """
        if not self._common:
            arrays = self.read("truth/", "images/frame_wh")
            sizes = arrays["images/frame_wh"].tolist()
            self._common["truth"] = GroundTruth.stored(arrays, len(sizes), self.run.model.class_names)
            self._common["geometries"] = [Geometry.of((w, h), self.run.model.imgsz) for w, h in sizes]
        truth = self._common["truth"]
        found = DetectionTable.read(self.read(f"accuracy/{key}/"), key)
        evaluation = evaluate(truth, found, self._common["geometries"])
        drawn = bootstrap.resample(truth, evaluation, bootstrap.image_weights(truth.images, seed))
        return {name: getattr(drawn, name) for name in COLUMNS.values()}

    def kept(self, key: str) -> dict[str, npt.NDArray[np.floating]] | None:
        """Return the figures on the image sets that the Run drew; `None`: an older Run, which kept none."""
        prefix = f"resamples/{key}/"
        arrays = self.read(prefix)
        found = {name: arrays[prefix + name] for name in COLUMNS.values() if prefix + name in arrays}
        return found if len(found) == len(COLUMNS) else None


def changes(
    key: str, values: Mapping[str, tuple[float | None, float | None]], a: Samples, b: Samples
) -> tuple[dict[str, FigureChange], str]:
    """Return B minus A by column of `table.csv`, with 95% intervals, and why there are none.

    Args:
        key: the Candidate's.
        values: by column, in A and in B.
        a: samples of A; on the same images as B.
        b: samples of B.
    """
    found = {column: difference(*pair) for column, pair in values.items()}
    if all(change.delta is None for change in found.values()):
        return found, ""
    images = a.run.dataset.images if a.run.dataset is not None else 0
    if images < MIN_IMAGES:
        return found, f"{images} images tell nothing"
    pair = _paired(key, a, b)
    if pair is None:
        return found, "no samples are kept"
    result = {}
    for column, change in found.items():
        if change.delta is not None:
            ours, theirs = (side[COLUMNS[column]] for side in pair)
            one = bootstrap.delta(change.delta, ours, theirs)
            change = FigureChange(a=change.a, b=change.b, delta=one.value, low=one.low, high=one.high)
        result[column] = change
    return result, ""


def difference(a: float | None, b: float | None) -> FigureChange:
    """Return a difference without an interval."""
    return FigureChange(a=a, b=b, delta=None if a is None or b is None else b - a)


def _paired(key: str, a: Samples, b: Samples) -> tuple[Arrays, Arrays] | None:
    """Return both sides' figures on the same image sets: those kept where the same ones were drawn, else drawn anew."""
    seed = a.run.settings.seed
    drawn_alike = (
        seed == b.run.settings.seed
        and a.run.bakeoff == b.run.bakeoff
        and a.run.versions.get("numpy") == b.run.versions.get("numpy")
    )
    kept = (a.kept(key), b.kept(key)) if drawn_alike else (None, None)
    if kept[0] is not None and kept[1] is not None and len(kept[0]["map50_95"]) == len(kept[1]["map50_95"]):
        return kept[0], kept[1]
    try:
        return a.resamples(key, seed), b.resamples(key, seed)
    except KeyError:
        return None
