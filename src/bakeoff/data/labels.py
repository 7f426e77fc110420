"""One image's ground truth, whatever the format that it came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, kw_only=True)
class Labels:
    """One image's boxes: classes (n,), normalised centre boxes (n, 4)."""

    classes: npt.NDArray[np.int32]
    xywhn: npt.NDArray[np.floating]
    ignore: npt.NDArray[np.bool_] | None = None  # (n,), regions where finding is neither right nor wrong; None: no such
    duplicates: int = 0  # exact repetitions that were dropped
    frame_wh: tuple[int, int] | None = None  # of the image, where the labels' file says so

    @property
    def true(self) -> npt.NDArray[np.bool_]:
        """Which rows (n,) are boxes to be found; the others are ignore regions."""
        return np.ones(len(self.classes), bool) if self.ignore is None else ~self.ignore

    @property
    def boxes(self) -> int:
        """Number of boxes to be found."""
        return int(self.true.sum())

    def content(self) -> bytes:
        """Return what tells these labels from others, for a hash."""
        ignore = b"" if self.true.all() else (~self.true).tobytes()
        return self.classes.tobytes() + np.ascontiguousarray(self.xywhn).tobytes() + ignore


NOTHING = Labels(classes=np.zeros(0, np.int32), xywhn=np.zeros((0, 4), np.float32))


Row = TypeVar("Row", np.float32, np.float64)


def first_of_each(rows: npt.NDArray[Row]) -> npt.NDArray[Row]:
    """Return the rows of a table (n, k) without exact repetitions, in their order."""
    order = np.lexsort(rows.T)  # stable: the first of equal rows comes first
    repeats = (rows[order[1:]] == rows[order[:-1]]).all(1)
    return np.delete(rows, order[1:][repeats], axis=0)
