"""Ctrl-C and SIGTERM: gone at once with all children, what was measured is kept, and `--resume` goes on from there."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from bakeoff.store import RunFolder
from tests.cli import slow
from tests.cli.runner import bakeoff, processes_with, rows, start, wait_for
from tests.conftest import write_plugin

LIMIT_S = 2.0
KEY, REFERENCE = "slow/fp32/dyn", "onnxruntime/fp32/dyn"


class Interrupted:
    """A Run that is stopped at a point by a signal."""

    def __init__(self, folder: Path, model: Path, data: Path) -> None:
        self.folder = folder
        self.site = write_plugin(folder / "site", "slow", Path(slow.__file__).read_text(), {"slow": "Slow"})
        self.arguments = ("run", model, "--data", data, "--only", "slow/*", "--frames", 48, "--workload", "1x1")
        self.arguments += ("--precision-target", "90%", "--out", "run")

    def stop_at(self, point: str, number: signal.Signals) -> tuple[subprocess.Popen[str], str, float]:
        (self.folder / "stop-at").write_text(point)
        process = start(*self.arguments, cwd=self.folder, plugins=[self.site])
        wait_for(self.folder / "reached", process)
        began = time.monotonic()
        process.send_signal(number)
        _, err = process.communicate(timeout=100)
        return process, err, time.monotonic() - began

    def resume(self) -> subprocess.CompletedProcess[str]:
        (self.folder / "stop-at").unlink(missing_ok=True)
        return bakeoff(*self.arguments, "--resume", cwd=self.folder, plugins=[self.site])

    @property
    def trace(self) -> list[str]:
        return (self.folder / "trace").read_text().split()


@pytest.fixture
def interrupted(tmp_path, tiny_model, tiny_data, monkeypatch):
    monkeypatch.setenv("BAKEOFF_TEST_SLOW", str(tmp_path))
    return Interrupted(tmp_path, tiny_model, tiny_data)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "number"),
    [("probe", signal.SIGINT), ("convert", signal.SIGINT), ("verify", signal.SIGINT), ("time", signal.SIGTERM)],
)
def test_a_signal_stops_the_run_and_all_its_children_and_resume_completes_it(interrupted, point, number):
    process, err, seconds = interrupted.stop_at(point, number)
    assert process.returncode == 130
    assert seconds < LIMIT_S
    assert "Traceback" not in err
    assert "interrupted; what was measured is kept" in err
    assert "--resume" in err
    assert processes_with(interrupted.site) == []

    folder = RunFolder(interrupted.folder / "run")
    before, timed = folder.load(), folder.timings()
    assert before.finished is None
    assert all(trial.failure is None for trial in before.trials)
    if point in ("verify", "time"):
        assert rows(folder.path)[REFERENCE]["val_map50_95"]
    if point == "time":
        assert rows(folder.path)[KEY]["val_map50_95"]
        assert len(timed[REFERENCE, "1x1"].round) >= 1

    done = interrupted.resume()
    assert done.returncode == 0, done.stderr
    after, all_timed = folder.load(), folder.timings()
    assert after.finished is not None
    assert {row["status"] for row in rows(folder.path).values()} == {"ok"}
    assert interrupted.trace.count("convert") == (2 if point == "convert" else 1)
    for trial in before.trials:  # what was finished was not done again
        again = after.trial(trial.candidate.key)
        for name in ("artifact", "convert_s", "load_s", "first_run_ms", "accuracy", "map_delta"):
            if getattr(trial, name) is not None:
                assert getattr(again, name) == getattr(trial, name), name
    for who, samples in timed.items():
        count = len(samples.round)
        assert np.array_equal(all_timed[who].round[:count], samples.round)
        assert np.array_equal(all_timed[who].run_ns[:count], samples.run_ns)
    for key in (KEY, REFERENCE):
        numbers = all_timed[key, "1x1"].round
        assert len(numbers) >= 12  # 48 frames in blocks of 4
        assert len(set(numbers.tolist())) == len(numbers)


@pytest.mark.slow
def test_resume_with_other_options_names_the_one_that_differs(interrupted):
    interrupted.stop_at("convert", signal.SIGINT)
    interrupted.arguments += ("--seed", 5)
    done = interrupted.resume()
    assert done.returncode == 2
    assert "seed = 0, not 5" in done.stderr


@pytest.mark.slow
def test_a_child_dies_with_its_parent(interrupted):
    process, _, _ = interrupted.stop_at("convert", signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 10
    while processes_with(interrupted.site) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_with(interrupted.site) == []


@pytest.mark.slow
def test_resuming_a_finished_run_measures_nothing_again(interrupted):
    first = bakeoff(*interrupted.arguments, cwd=interrupted.folder, plugins=[interrupted.site])
    assert first.returncode == 0, first.stderr
    table = (interrupted.folder / "run" / "table.csv").read_text()
    trace = interrupted.trace
    assert interrupted.resume().returncode == 0
    assert (interrupted.folder / "run" / "table.csv").read_text() == table
    assert interrupted.trace == trace
