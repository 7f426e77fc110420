"""Settings of loading from the command line: as Candidates, in a sweep, and by --tune."""

from __future__ import annotations

import csv
import json
import signal
from pathlib import Path

import pytest

from bakeoff.speed.sweep import winners
from bakeoff.store import RunFolder
from tests.cli.runner import FAST, bakeoff, rows, start, wait_for
from tests.conftest import write_plugin
from tests.steps import tunable

REFERENCE, PLAIN = "onnxruntime/fp32/dyn", "onnxruntime/fp32/static"


class Plugged:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.site = write_plugin(folder / "site", "tunable", Path(tunable.__file__).read_text(), {"tunable": "Tunable"})

    @property
    def trace(self) -> list[str]:
        return (self.folder / "trace").read_text().splitlines()


@pytest.fixture
def plugged(tmp_path, monkeypatch):
    monkeypatch.setenv("BAKEOFF_TEST_TUNABLE", str(tmp_path))
    return Plugged(tmp_path)


@pytest.mark.slow
def test_a_setting_has_its_own_row_and_accuracy_and_shares_the_artifact(tiny_model, tiny_data, tmp_path):
    only = ("--only", PLAIN, "--only", f"{PLAIN}/nospin", "--only", f"{PLAIN}/t1")
    arguments = ("verify", tiny_model, "--data", tiny_data, "--out", "run", "--threads", 2, *only)
    done = bakeoff(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    table = rows(tmp_path / "run")
    assert list(table) == [REFERENCE, PLAIN, f"{PLAIN}/t1", f"{PLAIN}/nospin"]
    assert len({row["val_map50_95"] for row in table.values()}) == 1
    record = RunFolder(tmp_path / "run").load()
    plain, one, quiet = (record.trial(key) for key in (PLAIN, f"{PLAIN}/t1", f"{PLAIN}/nospin"))
    assert plain.artifact == one.artifact == quiet.artifact
    assert plain.convert_s == one.convert_s
    assert sorted(path.name for path in (tmp_path / "run" / "artifacts").iterdir()) == [
        "onnxruntime-fp32-dyn",
        "onnxruntime-fp32-static",
    ]
    assert [trial.session.details["threads"] for trial in (plain, one, quiet)] == [2, 1, 2]
    assert [trial.session.details["spinning"] for trial in (plain, one, quiet)] == [True, True, False]


@pytest.mark.slow
def test_a_setting_alone_is_converted_for_itself(tiny_model, tiny_data, tmp_path):
    arguments = ("verify", tiny_model, "--data", tiny_data, "--out", "run", "--threads", 2, "--only", f"{PLAIN}/t1")
    done = bakeoff(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert list(rows(tmp_path / "run")) == [REFERENCE, f"{PLAIN}/t1"]
    assert rows(tmp_path / "run")[f"{PLAIN}/t1"]["status"] == "ok"


@pytest.mark.slow
def test_convert_takes_the_key_of_a_setting(tiny_model, tmp_path):
    arguments = ("convert", tiny_model, "--to", f"{PLAIN}/t1", "--out", "files", "--threads", 2, "--workload", "1x1")
    done = bakeoff(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "files" / "b1.onnx").exists()


def test_an_unknown_setting_is_bad_usage_with_the_nearest_name(tiny_model, tmp_path):
    done = bakeoff("convert", tiny_model, "--to", f"{PLAIN}/nospim", "--out", "files", cwd=tmp_path)
    assert done.returncode == 2
    assert f"did you mean '{PLAIN}/nospin'" in done.stderr


@pytest.mark.slow
def test_plan_shows_the_settings_offered(tiny_model, tmp_path):
    shown = bakeoff("plan", tiny_model, "--threads", 2, cwd=tmp_path).stdout
    (line,) = (line for line in shown.splitlines() if line.startswith(f"{PLAIN}/…"))
    assert "on request" in line
    assert "t1, nospin" in line
    listed = json.loads(bakeoff("plan", tiny_model, "--threads", 2, "--json", cwd=tmp_path).stdout)
    assert {"candidate", "label", "status", "reason"} == set(listed[0])
    assert f"{PLAIN}/nospin" in {row["candidate"] for row in listed}


@pytest.mark.slow
def test_a_sweep_times_each_setting_over_the_grid_and_names_the_best(tiny_model, tiny_data, tmp_path):
    arguments = ("time", tiny_model, "--data", tiny_data, "--out", "run", "--only", PLAIN, "--sweep", "--threads", 2)
    done = bakeoff(*arguments, "--quick", "--frames", 16, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record = RunFolder(tmp_path / "run").load()
    grid = {str(workload) for workload in record.settings.sweep}
    assert {"1x1", "1x2", "1x4", "2x1", "2x2", "2x4"} <= grid
    assert [one.key for one in record.sweep] == [PLAIN]  # the reference was not asked for
    for one in record.sweep:
        assert one.failures == {}
        keys = {point.key for point in one.points}
        assert {one.key, f"{one.key}/t1", f"{one.key}/nospin"} <= keys
        assert {(point.key, point.workload) for point in one.points} == {(key, w) for key in keys for w in grid}
        assert all((point.speedup is None) == (point.key == one.key) for point in one.points)
    with (tmp_path / "run" / "sweep.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == sum(len(one.points) for one in record.sweep)
    assert {row["frontier"] for row in table} == {"yes", "no"}
    assert any(name.startswith(f"sweep/{PLAIN}/t1:2x4/") for name in RunFolder(tmp_path / "run").samples("sweep/"))
    report = (tmp_path / "run" / "report.md").read_text()
    assert "## Settings of loading" in report
    assert "charts/sweep.png" in report
    assert (tmp_path / "run" / "charts" / "sweep.png").exists()
    assert list(rows(tmp_path / "run")) == [REFERENCE, PLAIN]  # a sweep adds no Trial


@pytest.mark.slow
def test_workloads_given_with_a_sweep_are_its_grid(plugged, tiny_model, tiny_data):
    arguments = (
        "time",
        tiny_model,
        "--data",
        tiny_data,
        "--out",
        "run",
        "--only",
        "tunable/fp32/dyn",
        "--sweep",
        *FAST,
    )
    done = bakeoff(*arguments, cwd=plugged.folder, plugins=[plugged.site])
    assert done.returncode == 0, done.stderr
    record = RunFolder(plugged.folder / "run").load()
    assert {point.workload for one in record.sweep for point in one.points} == {"1x1"}


@pytest.mark.slow
def test_tune_adds_what_won_as_trials_and_tells_what_was_tried(plugged, tiny_model, tiny_data):
    arguments = ("run", tiny_model, "--data", tiny_data, "--out", "run", "--only", "tunable/fp32/dyn", "--tune", *FAST)
    done = bakeoff(*arguments, "--threads", 1, cwd=plugged.folder, plugins=[plugged.site])
    assert done.returncode == 0, done.stderr
    record = RunFolder(plugged.folder / "run").load()
    (swept,) = (one for one in record.sweep if one.key == "tunable/fp32/dyn")
    won = [key for one in record.sweep for key in winners(one, record.settings.precision_target, ["1x1"])]
    added = [trial for trial in record.trials if trial.candidate.tuning]
    assert {trial.candidate.key for trial in added} == set(won)
    for trial in added:
        assert trial.status == "ok"
        assert trial.verified
        assert trial.timed
        assert trial.accuracy is not None
        assert trial.artifact == record.trial(trial.candidate.plain.key).artifact
    assert "this setting is not in force" in swept.failures["tunable/fp32/dyn/broken"]
    assert record.trial("tunable/fp32/dyn").failure is None
    report = (plugged.folder / "run" / "report.md").read_text()
    assert "`--tune`" in report
    assert "this setting is not in force" in report
    assert plugged.trace.count("convert tunable/fp32/dyn") == 1
    assert "load tunable/fp32/dyn/t3 3 3" in plugged.trace  # the key's threads, in the child's environment too
    assert "load tunable/fp32/dyn 1 1" in plugged.trace


@pytest.mark.slow
def test_a_run_interrupted_in_its_sweep_goes_on_with_what_is_not_swept(plugged, tiny_model, tiny_data):
    only = ("--only", "tunable/*")
    arguments = ("time", tiny_model, "--data", tiny_data, "--out", "run", *only, "--sweep", *FAST)
    (plugged.folder / "stop-at").write_text("tunable/fp32/dyn/other/fast")
    process = start(*arguments, cwd=plugged.folder, plugins=[plugged.site])
    wait_for(plugged.folder / "reached", process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    before = RunFolder(plugged.folder / "run").load()
    assert "tunable/fp32/dyn" in {one.key for one in before.sweep}
    assert "tunable/fp32/dyn/other" not in {one.key for one in before.sweep}
    loads = len([line for line in plugged.trace if line.startswith("load tunable/fp32/dyn/t3")])

    (plugged.folder / "stop-at").unlink()
    done = bakeoff(*arguments, "--resume", cwd=plugged.folder, plugins=[plugged.site])
    assert done.returncode == 0, done.stderr
    after = RunFolder(plugged.folder / "run").load()
    assert after.sweep[: len(before.sweep)] == before.sweep
    assert "tunable/fp32/dyn/other" in {one.key for one in after.sweep}
    assert len([line for line in plugged.trace if line.startswith("load tunable/fp32/dyn/t3")]) == loads
