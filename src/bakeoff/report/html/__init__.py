"""`report.html`: one page that opens from disk, asks nobody for anything, and tells the whole Run.

A pure reader of a View and of the Run's folder. Tables and text are in the page as it is written; the charts are drawn
by the script that it carries, and are an extra.
"""

from __future__ import annotations

from pathlib import Path

from bakeoff.report.html.page import render
from bakeoff.report.table import View
from bakeoff.store import RunFolder

__all__ = ["render", "write"]


def write(view: View, folder: RunFolder, path: Path) -> None:
    """Write the page.

    Raises:
        StoreError: the Run's samples are damaged.
        OSError: it can't be written.
    """
    path.write_text(render(view, folder), encoding="utf-8")
