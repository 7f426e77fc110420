"""What each runtime needs in a `predict.py`: Python with a function `load`, and constants that are filled in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bakeoff.records import Script


def script(name: str, needs: str, notes: str = "", **values: Any) -> Script:
    """Return one of these files as a `Script`.

    Args:
        name: of the file, without `.py`.
        needs: packages that it imports, beside NumPy and OpenCV.
        notes: what a reader must know.
        values: of its constants.
    """
    source = (Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8")
    return Script(source=source, needs=needs, notes=notes, values=values)
