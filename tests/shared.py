"""The real images and the real model beside the repository, which tests use where they are there."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"
MODEL = SHARED / "models" / "yolov8n-deeppcb.pt"
DATA = SHARED / "deeppcb" / "data.yaml"

needs_shared = pytest.mark.skipif(
    not (MODEL.exists() and DATA.exists()), reason="the shared model and images are not beside the repository"
)
