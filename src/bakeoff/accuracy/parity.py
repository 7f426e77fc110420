"""Raw outputs against others on the same real images, group of channels by group of channels.

A similarity of the whole tensor is no gate: pixels outweigh scores, so that with every score at zero the cosine stays
at 0.9995.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from bakeoff.records import GroupParity

IMAGES = 8  # that raw outputs are compared on
EMULATED = 8  # that a quantised Session is held against its own graph on
CONFIDENT = 0.25  # anchors that make boxes
GROUPS = {"boxes": slice(0, 4), "scores": slice(4, None)}
Floats = npt.NDArray[np.float32]


@dataclass
class Comparison:
    """The differences of one head output, gathered image by image."""

    output: str = "output 0"
    images: int = 0
    _max: dict[str, float] = field(default_factory=lambda: dict.fromkeys(GROUPS, 0.0))
    _mean: dict[str, float] = field(default_factory=lambda: dict.fromkeys(GROUPS, 0.0))
    _confident: dict[str, float] = field(default_factory=lambda: dict.fromkeys(GROUPS, 0.0))
    _anchors: int = 0

    def add(self, expected: Floats, got: Floats) -> None:
        """Take in one image's outputs (4 + classes, anchors) of both sides."""
        self.images += 1
        confident = np.maximum(expected[4:].max(0), got[4:].max(0)) >= CONFIDENT  # ghosts count as well
        self._anchors += int(confident.sum())
        for group, rows in GROUPS.items():
            error = np.abs(got[rows] - expected[rows])
            if not np.isfinite(error).all():
                raise ValueError(f"{self.output}, {group}: NaN or infinite values")
            self._max[group] = max(self._max[group], float(error.max()))
            self._mean[group] += float(error.mean(dtype=np.float64))
            self._confident[group] += float(error[:, confident].max(0).sum(dtype=np.float64))

    def groups(self) -> tuple[GroupParity, ...]:
        """Return what was gathered."""
        return tuple(
            GroupParity(
                output=self.output,
                group=group,
                max_error=self._max[group],
                mean_error=self._mean[group] / self.images,
                confident_error=self._confident[group] / self._anchors if self._anchors else None,
            )
            for group in GROUPS
            if self.images
        )


# Of one network in two shapes, of the anchors that make boxes. In float32 only the order of additions differs; below it
# roundings cascade, and what CONTRADICTS allows a quantised graph is allowed here.
SAME = {"boxes": 0.5, "scores": 0.005}  # canvas pixels, scores
ROUNDED = {"boxes": 8.0, "scores": 0.05}


def differs(groups: Sequence[GroupParity], precision: str) -> str | None:
    """Return why a shape does not compute what the plain one does, or `None` where it does.

    Args:
        groups: its outputs against the plain shape's.
        precision: of both.
    """
    limits = SAME if precision == "fp32" else ROUNDED
    for one in groups:
        if one.confident_error is not None and one.confident_error > limits[one.group]:
            return (
                f"{one.output}, {one.group}: {one.confident_error:.3g} off the plain shape's, in the mean: this shape "
                "computes something else"
            )
    return None


# INT8 kernels that keep to the graph differ from it by 0.005 to 0.018, since roundings cascade; kernels that saturate
# by 0.130 (mAP50-95 -0.160) and 0.349 (-0.522). ONNX Runtime and OpenVINO, on a CPU with VNNI and on it without:
# benchmarks/results/saturation.json.
CONTRADICTS = 0.05


def contradiction(groups: Sequence[GroupParity], saturates: bool | None) -> str | None:
    """Return why a quantised Session does not compute what its graph says, or `None` where it does.

    Args:
        groups: the Session's outputs against the float emulation of its own graph.
        saturates: whether a probe found that the runtime's 8-bit sums saturate on this CPU; `None`: not probed.
    """
    error = next((one.confident_error for one in groups if one.group == "scores"), None)
    if error is None or error <= CONTRADICTS:
        return None
    found = f"output 0, scores: {error:.2f} off, in the mean, from the float emulation of its own graph"
    if saturates:
        return (
            f"{found}: 8-bit saturation, this CPU has no VNNI and the runtime adds products up in 16 bits; convert on "
            "this machine, so that weights get 7 bits"
        )
    return f"{found}: the runtime computes something else; use another runtime or version"
