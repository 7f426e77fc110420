# SPDX-License-Identifier: AGPL-3.0-only
"""Seeded generator of printed-board images with six kinds of drawn defect."""

from boardgen.defects import CLASSES
from boardgen.scene import SIZES, Look, Scene, render

__all__ = ["CLASSES", "SIZES", "Look", "Scene", "render"]
