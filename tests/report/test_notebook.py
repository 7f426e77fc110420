"""A Run in a notebook: the answer, verdicts and intervals; what comes from outside stays text."""

from __future__ import annotations

from html.parser import HTMLParser

from bakeoff.report import notebook
from bakeoff.report.table import View
from tests.report.test_report import HOSTILE, TIMINGS, TRIALS, record
from tests.test_judge import trial


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[list[str]] = []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")
            self._inside = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._inside = False

    def handle_data(self, data):
        if self._inside:
            self.cells[-1][-1] += data


def test_it_shows_the_answer_and_each_candidate_with_verdict_and_intervals():
    text = notebook.render(View.make(record(), TIMINGS))
    assert "<b>Deploy <code>b/fp32/dyn</code></b>" in text
    page = Page(text)
    rows = {cells[0]: cells for cells in page.cells[1:]}
    assert list(rows) == [one.candidate.key for one in TRIALS]
    assert rows["b/fp32/dyn"][1:4] == ["recommended", "0.6000", "+0.0000 [-0.0020, +0.0020]"]
    assert rows["b/fp32/dyn"][-1].startswith("2.00 [")
    assert rows["f/fp32/dyn"][1:] == ["skipped", "f is not installed; install it"]


def test_what_comes_from_outside_stays_text():
    text = notebook.render(View.make(record((*TRIALS, trial(HOSTILE, skip=HOSTILE))), TIMINGS))
    page = Page(text)
    assert "script" not in page.tags
    assert any(HOSTILE in cell for cells in page.cells for cell in cells)


def test_it_asks_for_nothing_from_elsewhere():
    text = notebook.render(View.make(record(), TIMINGS))
    assert "src=" not in text
    assert "url(" not in text
    assert "http" not in text
