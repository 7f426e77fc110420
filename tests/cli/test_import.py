"""`bakeoff import`, as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bakeoff.api import Run
from bakeoff.cli import invoke

TABLE = "label,latency_1x1_ms,val_map50_95,gpu\nPyTorch FP32 dynamic,10,0.6,H100\nTensorRT FP16 dynamic,5,0.6,H100\n"


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "table.csv"
    path.write_text(TABLE)
    return path


def test_a_table_becomes_a_run_that_report_reads_again(table, capfd):
    assert invoke(["import", "table.csv", "--out", "run"]) == 0
    out, err = capfd.readouterr()
    assert "tensorrt/fp16/dyn" in out
    assert "left out: column 'gpu'" in err
    run = Run("run")
    assert run.record.imported == "table.csv"
    assert run.record.host.architecture == run.record.model.format == "unknown"
    assert run.record.versions == {}
    assert run.takeaways == run.record.takeaways
    assert run.takeaways[0].rule == "no-intervals"
    document = json.loads(Path("run/results.json").read_text())
    assert document["version"] == 5
    assert document["run"]["trials"][1]["reported"] == {"latency_1x1_ms": 5.0, "val_map50_95": 0.6}
    assert invoke(["report", "run", "--out", "again.csv"]) == 0
    assert Path("again.csv").read_bytes() == Path("run/table.csv").read_bytes()


@pytest.mark.parametrize(
    ("content", "options", "says"),
    [
        (TABLE, ["--reference", "tensort/fp16/dyn"], "did you mean 'tensorrt/fp16/dyn'?"),
        (TABLE.replace("10,0.6", ","), [], "the reference, 'PyTorch FP32 dynamic', has no figures"),
        (TABLE.replace("10", "ten"), [], "line 2, column latency_1x1_ms: 'ten' is not a number"),
        ("label,verdict,latency_1x1_ms\nA,reference,1\nB,reference,2\n", [], "lines 2, 3 all say verdict reference"),
    ],
)
def test_what_is_bad_is_one_line_and_leaves_no_run(table, capfd, content, options, says):
    table.write_text(content)
    assert invoke(["import", "table.csv", "--out", "run", *options]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("bakeoff: error: ")
    assert says in line
    assert not Path("run").exists()


def test_labels_from_outside_stay_text_everywhere(table, capfd):
    hostile = "<script>alert(1)</script>|`x`"
    table.write_text(f"label,latency_1x1_ms,status,reason\nA,10,,\n{hostile},5,,\nC,,skipped,{hostile}\n")
    assert invoke(["import", "table.csv", "--out", "run", "--json"]) == 0
    rows = json.loads(capfd.readouterr().out)
    assert [row["speedup_1x1"] for row in rows] == [1.0, 2.0, None]
    assert rows[1]["label"] == hostile
    assert rows[1]["candidate"] == "script-alert-1-script-x/unknown/unknown"
    assert "<script>alert" not in Path("run/report.html").read_text()
    assert "alert(1)" in Path("run/report.md").read_text()
