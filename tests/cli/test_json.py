"""`--json`: what machines read is all that stands on stdout."""

from __future__ import annotations

import json
import sys

import pytest

from bakeoff.api import Run
from bakeoff.cli import invoke
from tests.report.test_report import folder  # noqa: F401


@pytest.mark.parametrize("command", ["run", "demo", "verify", "time", "tune", "plan", "backends", "doctor", "convert",
                                     "selftest", "report"])  # fmt: skip
def test_every_command_that_prints_a_table_has_it(command, capsys):
    assert invoke([command, "--help"]) == 0
    assert "--json" in capsys.readouterr().out


def test_a_report_as_json_is_the_rows_of_the_table_and_writes_nothing(folder, capsys):  # noqa: F811
    assert invoke(["report", str(folder.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(Run(folder.path).rows))
    assert not (folder.path / "table.csv").exists()
    assert invoke(["report", str(folder.path), "--json", "--out", "x.csv"]) == 2


def test_a_report_as_parquet_without_polars_is_one_line_and_exit_code_2(folder, tmp_path, capsys, monkeypatch):  # noqa: F811
    assert invoke(["report", str(folder.path), "--out", str(tmp_path / "x.parquet")]) == 0
    assert (tmp_path / "x.parquet").read_bytes()[:4] == b"PAR1"
    monkeypatch.setitem(sys.modules, "polars", None)
    capsys.readouterr()
    assert invoke(["report", str(folder.path), "--out", str(tmp_path / "y.parquet")]) == 2
    assert capsys.readouterr().err == "bakeoff: error: polars is not installed; pip install 'bakeoff[polars]'\n"
