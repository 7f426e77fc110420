"""Figures in the README are those of the committed results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def test_every_row_of_the_first_table_stands_in_the_committed_report():
    report = ROOT / "benchmarks" / "results" / "deeppcb-cpu" / "report.md"
    if not report.exists():
        pytest.skip("the committed results are not in this checkout")
    measured = {cells(line)[0]: cells(line) for line in report.read_text().splitlines() if line.count("|") == 14}
    shown = [cells(line) for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("| `") and line.count("|") == 10]  # fmt: skip  # noqa: E501
    assert len(shown) == len(measured) - 2 >= 9, "all rows but the head and its rule"
    for row in shown:
        theirs = iter(measured[row[0]])
        assert all(cell in theirs for cell in row), f"{row} is no part, in order, of {measured[row[0]]}"


def test_the_ratios_to_ultralytics_are_those_of_the_committed_benchmarks():
    results = ROOT / "benchmarks" / "results"
    ratios = json.loads((results / "predict_frame.json").read_text())["figures"]
    text = (ROOT / "README.md").read_text()
    for what in ("pre + post", "end to end"):
        for figure in ratios:
            if figure["figure"].endswith(what):
                shown = figure["measured"].split()[0]
                assert shown in text, f"{figure['figure']}: {shown}"
    assert json.loads((results / "verify_four.json").read_text())["figures"][0]["measured"] in text


def test_no_placeholder_is_left():
    text = (ROOT / "README.md").read_text()
    assert "_TABLE" not in text
    assert "_TEXT" not in text
