"""Tables within a terminal's width: the least important goes first, and no number is ever broken."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable

import pytest
from rich.console import Console

from bakeoff.api import Run
from bakeoff.cli import terminal
from bakeoff.cli.fit import cut, drawn, fit, fold, printable
from bakeoff.report import summary
from bakeoff.report.summary import Column
from bakeoff.report.table import View
from tests.report.test_report import TIMINGS, folder, record  # noqa: F401
from tests.test_judge import trial

LONG = "openvino/int8+fp32/dyn/throughput/nopin/s4"
COLUMNS = summary.columns(View.make(record(), TIMINGS))


def text(columns: list[Column], width: int | None, **options: bool) -> list[str]:
    file = io.StringIO()
    fitted = fit(columns, width)
    console = Console(file=file, width=width or 400, highlight=False)
    console.print(drawn(fitted, [""] * len(fitted[0].cells), folded=options.get("folded", True)))
    return file.getvalue().splitlines()


def heads(columns: list[Column], width: int | None) -> list[str]:
    return [" ".join(column.head) for column in fit(columns, width)]


def test_a_wide_terminal_gets_every_column_with_its_interval():
    assert heads(COLUMNS, 200) == heads(COLUMNS, None)
    assert heads(COLUMNS, None) == [
        "Candidate", "verdict", "mAP 50-95", "Δ mAP 50-95", "1x1 ms", "1x2 ms", "2x1 ms", "speedup 1x1",
    ]  # fmt: skip
    assert "[" in text(COLUMNS, None)[3]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120])
def test_no_line_is_wider_than_the_terminal_and_no_number_is_broken(width):
    lines = text(COLUMNS, width)
    assert max(map(len, lines)) <= width
    whole = {word for column in COLUMNS for form in column.forms for cell in form for word in cell.split()}
    assert {word for line in lines[2:] for word in line.split()} <= whole | {"b/fp32/dyn"}


def test_eighty_columns_keep_what_decides():
    rows = summary.columns(View.make(record((trial("a"), trial("openvino-int8+fp32-entropy-t2"))), TIMINGS))
    assert {"Candidate", "verdict", "mAP 50-95", "1x1 ms"} <= set(heads(rows, 80))
    assert {"Candidate", "verdict", "1x1 ms", "speedup 1x1"} <= set(heads(COLUMNS, 80))
    assert any("±" in line for line in text(COLUMNS, 80)), "the interval of a speedup"


def test_the_least_important_goes_first():
    columns = [
        Column(head=("Candidate",), forms=(("a" * 10,),), figures=False),
        Column(head=("x",), forms=(("1.0 [0.9, 1.1]",), ("1.0",)), ranks=(2, 9)),
        Column(head=("y",), forms=(("2.0",),), ranks=(1,)),
    ]
    widths = {
        width: [(column.head[0], column.cells[0]) for column in fit(columns, width)][1:] for width in range(14, 40)
    }
    assert widths[31] == [("x", "1.0 [0.9, 1.1]"), ("y", "2.0")]
    assert widths[28] == [("x", "1.0 [0.9, 1.1]")]
    assert widths[20] == [("x", "1.0")]


def test_a_long_key_is_folded_at_its_slashes_and_cut_in_its_middle():
    lines = fold(LONG, 24).split("\n")
    assert max(map(len, lines)) <= 24
    assert "".join(line.strip() for line in lines) == LONG
    assert all(line.endswith("/") for line in lines[:-1])
    assert "".join(line.strip() for line in fold("x" * 50, 12).split("\n")) == "x" * 50
    short = cut(LONG, 24)
    assert len(short) == 24
    assert short.startswith("openvino/")
    assert short.endswith("nopin/s4")


def test_a_terminal_does_not_obey_names_from_outside():
    hostile = "a\x1b[31mb\x07\x9b2J\r\nc[bold]d"
    assert printable(hostile) == "a�[31mb��2J��c[bold]d"
    columns = [Column(head=("Candidate",), forms=((hostile,),), figures=False)]
    shown = "\n".join(text(columns, 80))
    assert "\x1b" not in shown
    assert "[bold]" in shown


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def at_80(monkeypatch):
    """What stdout gets where it is a terminal of 80 columns."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    out = Terminal()

    def ask(function: Callable[..., None], *arguments: object, **options: object) -> str:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            before = len(out.getvalue())
            function(*arguments, **options)
            return out.getvalue()[before:]

    return ask


def test_the_last_table_has_colour_on_a_terminal_and_none_with_no_color(folder, at_80, monkeypatch):  # noqa: F811
    coloured = at_80(terminal.show, Run(folder.path))
    assert "\x1b[1;32m" in coloured, "recommended"
    monkeypatch.setenv("NO_COLOR", "1")
    plain = at_80(terminal.show, Run(folder.path))
    assert "\x1b[1;32m" not in plain
    assert "\x1b[3" not in plain
    lines = re.sub("\x1b\\[[0-9;]*m", "", plain).splitlines()
    assert max(len(line) for line in lines if not line.startswith("Report")) <= 80
    assert "recommended" in plain


def test_elsewhere_the_last_table_is_whole_and_plain(folder, capsys):  # noqa: F811
    terminal.show(Run(folder.path))
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "[+" in out or "[-" in out, "intervals in full"
    assert "e/fp32/dyn: failed: load:" in out


def test_sentences_stand_beneath_their_row_where_there_is_no_room_beside(at_80):
    why = "needs a library that is not there; install it with a command that is rather long"
    rows = [(LONG, "OpenVINO INT8 with a long label", "a status of many words that fills the line", why)]
    shown = at_80(terminal.table, ("candidate", "label", "status", "reason"), rows, ranks={"label": 1})
    lines = re.sub("\x1b\\[[0-9;]*m", "", shown).splitlines()
    assert max(map(len, lines)) <= 80
    assert "label" not in shown
    assert why in " ".join(shown.split()), "whole, and by itself"
    assert lines[-1].startswith("    ")
