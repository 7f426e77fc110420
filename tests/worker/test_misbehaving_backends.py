"""One Run with every kind of misbehaving backend, installed as a third party's: what becomes of each."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from bakeoff.records import RunRecord
from bakeoff.store import RunFolder
from tests.cli.runner import FAST, bakeoff, processes_with, rows
from tests.conftest import write_plugin
from tests.worker import misbehaving

pytestmark = pytest.mark.slow  # minutes of children, each loading a runtime

LIMIT_S = 5
# step, kind and what the cause must name
ENDS = {
    "segfault": ("convert", "signal", "SIGSEGV"),
    "killed": ("load", "signal", "SIGKILL"),
    "exits": ("verify", "exit", "exit code 7"),
    "leaves": ("convert", "exit", "exit code 0"),
    "longtext": ("convert", "error", "ValueError: the cause stands first"),
    "hangs-in-convert": ("convert", "timeout", f"no answer within {LIMIT_S} s"),
    "hangs-in-load": ("load", "timeout", f"no answer within {LIMIT_S} s"),
    "hangs-in-run": ("verify", "timeout", f"no answer within {LIMIT_S} s"),
    "out-of-memory": ("load", "error", "MemoryError"),
    "not-a-number": ("verify", "output", "scores: NaN"),
    "infinite-boxes": ("verify", "output", "boxes: NaN or infinite"),
    "dead-scores": ("verify", "output", "every class score is 0"),
    "wrong-shape": ("verify", "error", "float32 [1, 5, 84]; expected float32 [1, 6, anchors]"),
    "wrong-type": ("verify", "error", "float64 [1, 6, 84]"),
    "no-output": ("verify", "error", "output 0 is nothing"),
    "no-artifact": ("convert", "error", "convert returned NoneType"),
    "other-precision": ("load", "error", "asked for fp32, but the Session computes in fp16"),
    "other-device": ("load", "error", "asked for device cpu, but the Session runs on cuda:0"),
    "dies-when-timed": ("time", "signal", "SIGABRT"),
    "closes-pipe": ("load", "exit", "exit code"),
    "writes-into-pipe": ("load", "protocol", "unreadable"),
}


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, tiny_data: Path
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("misbehaving")
    source = Path(misbehaving.__file__).read_text()
    site = write_plugin(folder / "site", "misbehaving", source, misbehaving.BACKENDS)
    only = [word for name in misbehaving.BACKENDS for word in ("--only", f"{name}/*")]
    limit = ("--step-timeout", LIMIT_S, "--out", "run")
    done = bakeoff("run", tiny_model, "--data", tiny_data, *FAST, *only, *limit, cwd=folder, plugins=[site])
    return folder / "run", done


@pytest.fixture(scope="module")
def record(finished: tuple[Path, object]) -> RunRecord:
    return RunFolder(finished[0]).load()


def test_every_backend_here_has_its_expected_end():
    assert set(misbehaving.BACKENDS) == {*ENDS, "good", "noisy"}


def test_the_run_ends_well_and_those_that_behave_are_ok(finished):
    folder, done = finished
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    table = rows(folder)
    for key in ("onnxruntime/fp32/dyn", "good/fp32/dyn"):
        assert table[key]["status"] == "ok"
        assert float(table[key]["latency_1x1_ms"]) > 0
        assert float(table[key]["val_map50_95"]) > 0


def test_a_child_that_prints_megabytes_of_rubbish_is_not_disturbed_by_it(finished):
    folder, _ = finished
    assert rows(folder)["noisy/fp32/dyn"]["status"] == "ok"
    assert (folder / "logs" / "noisy/fp32/dyn.log").stat().st_size > 4_000_000


@pytest.mark.parametrize("name", ENDS)
def test_a_misbehaving_child_fails_only_its_own_trial_and_the_failure_names_the_cause(finished, record, name):
    step, kind, cause = ENDS[name]
    failure = record.trial(f"{name}/fp32/dyn").failure
    assert failure is not None
    assert (failure.step, failure.kind) == (step, kind)
    assert cause in failure.cause
    assert "\n" not in failure.cause
    assert len(failure.cause) <= 330
    row = rows(finished[0])[f"{name}/fp32/dyn"]
    assert row["status"] == "failed"
    assert row["reason"] == f"{step}: {failure.cause}"
    assert row["verdict"] == ""


@pytest.mark.parametrize("name", ENDS)
def test_each_failure_is_one_line_on_the_terminal(finished, name):
    lines = [line for line in finished[1].stderr.splitlines() if line.startswith(f"{name}/fp32/dyn failed to")]
    assert len(lines) == 1
    assert ENDS[name][2] in lines[0]


def test_a_failure_keeps_the_tail_of_the_log(finished, record):
    failure = record.trial("segfault/fp32/dyn").failure
    assert "about to read address 0" in failure.log_tail
    assert "Segmentation fault" in failure.log_tail  # faulthandler's
    assert (finished[0] / failure.log).exists()


def test_the_log_tail_is_short_and_printable(record):
    tail = record.trial("longtext/fp32/dyn").failure.log_tail
    assert 0 < len(tail) <= 4000
    assert all(line.isprintable() for line in tail.split("\n"))


@pytest.mark.parametrize("name", ENDS)
def test_a_failure_has_a_command_that_names_its_candidate_model_and_data(record, tiny_model, tiny_data, name):
    words = shlex.split(record.trial(f"{name}/fp32/dyn").failure.reproduce)
    assert words[0] == "bakeoff"
    assert {f"{name}/fp32/dyn", str(tiny_model), str(tiny_data)} <= set(words)


def test_the_command_reproduces_the_failure(finished, record, tmp_path):
    site = finished[0].parent / "site"
    words = shlex.split(record.trial("segfault/fp32/dyn").failure.reproduce)
    again = bakeoff(*words[1:], cwd=tmp_path, plugins=[site])
    assert again.returncode == 1
    assert "SIGSEGV" in again.stderr


def test_what_was_measured_before_a_death_is_kept(record, finished):
    trial = record.trial("dies-when-timed/fp32/dyn")
    assert trial.accuracy is not None
    assert trial.session is not None
    assert rows(finished[0])["dies-when-timed/fp32/dyn"]["val_map50_95"]


def test_no_process_is_left_behind(finished):
    assert processes_with(finished[0].parent / "site") == []
