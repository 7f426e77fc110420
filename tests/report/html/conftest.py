from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bakeoff.report import html
from bakeoff.report.table import View
from bakeoff.store import RunFolder
from tests.report.html import made


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunFolder]:
    """A Run of twelve Candidates, ten of them measured."""
    with made.write(tmp_path_factory.mktemp("page") / "run") as folder:
        yield folder


@pytest.fixture(scope="session")
def page_path(run_folder: RunFolder) -> Path:
    """Its page, alone in a folder."""
    path = run_folder.path.parent / "alone" / "report.html"
    path.parent.mkdir()
    html.write(View.of(run_folder), run_folder, path)
    return path


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium, driven by Playwright."""
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install -e .[dev]")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs a Chromium: apt install chromium")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()
