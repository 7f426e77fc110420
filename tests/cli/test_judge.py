"""`bakeoff judge` and the Requirements' options, on Runs made of records and samples alone."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import click
import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

import bakeoff
from bakeoff.cli import invoke, options
from bakeoff.errors import BakeoffError
from bakeoff.store import RunFolder
from tests.cli.runner import bakeoff as run_bakeoff
from tests.report.test_report import TIMINGS, TRIALS, record
from tests.report.test_tune import TRIALS as TUNED
from tests.speed.test_tune import BATCH_WINS, FAMILY
from tests.speed.test_tune import run as tune_record
from tests.speed.test_tune import timings as tune_timings
from tests.test_judge import point

KEYS = [trial.candidate.key for trial in TRIALS[:4]]


def write(path: Path, run, timings, resamples=None) -> Path:
    with RunFolder.create(path) as folder:
        folder.save(run)
        arrays = {
            f"timing/{key}:{workload}/{name}": array
            for (key, workload), one in timings.items()
            for name, array in one.arrays().items()
        }
        for key, figures in (resamples or {}).items():
            arrays |= {f"resamples/{key}/{figure}": array for figure, array in figures.items()}
        if arrays:
            folder.put("samples", arrays)
            folder.consolidate()
    return path


def resamples():
    rng = np.random.default_rng(0)
    spread = {key: rng.normal(mean, 0.001, 1000) for key, mean in zip(KEYS, (0.6, 0.6, 0.5, 0.59), strict=True)}
    return {key: {"map50_95": array, "op_recall": array} for key, array in spread.items()}


@pytest.fixture
def run(tmp_path) -> Path:
    """b is accepted and the fastest but c, which lost; d is undecided."""
    timed = tuple(
        msgspec.structs.replace(trial, timed=trial.status == "ok", operating_point=point(-0.01, -0.015, -0.005))
        for trial in TRIALS
    )
    return write(tmp_path / "run", record(timed), TIMINGS, resamples())


@pytest.fixture
def ask(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: object) -> tuple[int, str, str]:
        code = invoke(["judge", *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def verdict_of(run: Path, key: str) -> str:
    return {verdict.key: verdict.verdict for verdict in RunFolder(run).load().verdicts}[key]


def test_a_run_is_asked_again_and_nothing_is_written(ask, run):
    before = files(run)
    code, out, err = ask(run)
    assert (code, err) == (0, "")
    assert "Deploy b/fp32/dyn" in out
    assert "Chance of meeting --max-map-drop 0.01: above 99%: b/fp32/dyn; " in out
    assert "; below 1%: c/fp32/dyn" in out
    assert "Report:" not in out
    assert files(run) == before


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("--latency-budget", "4"), "Nothing meets the Requirements"),
        (("--latency-budget", "4"), "Chance of meeting --latency-budget 4 ms (p50): "),
        (("--latency-budget", "5.5", "--percentile", "95"), "Deploy b/fp32/dyn"),
        (("--latency-budget", "5.5", "--percentile", "99"), "400 samples can tell a p99: --frames 400"),
        (("--max-map-drop", "0.15"), "Deploy c/fp32/dyn"),
        (("--max-recall-drop", "0.001"), "against --max-recall-drop 0.001"),
        (("--max-recall-drop", "0.02"), "Deploy b/fp32/dyn"),
        (("--max-memory", "100MB"), "Deploy b/fp32/dyn"),
        (("--max-memory", "99.5MB"), "memory of 100 MB against --max-memory 99.5 MB (0.5 MB over)"),
        (("--max-size", "10B"), "Deploy b/fp32/dyn"),
        (("--max-size", "9"), "against --max-size 9e-06 MB"),
        (("--max-map-drop", "0.5", "--prefer", "accuracy"), "Stay with a/fp32/dyn"),
        (("--prefer", "throughput"), "Deploy b/fp32/dyn"),
    ],
)
def test_every_requirement_can_be_asked_anew(ask, run, asked, says):
    code, out, _ = ask(run, *asked)
    assert code == 0
    assert says in out


def test_a_requirement_that_is_not_given_stays_and_none_takes_it_away(ask, tmp_path):
    strict = record(requirements=bakeoff.api.Requirements(latency_budget_ms=4.0, prefer="latency"))
    run = write(tmp_path / "strict", strict, TIMINGS)
    assert "Nothing meets the Requirements" in ask(run, "--max-map-drop", "0.02")[1]
    assert "Deploy b/fp32/dyn" in ask(run, "--latency-budget", "none")[1]


def test_requirements_may_stand_in_a_toml_file(ask, run, tmp_path):
    (tmp_path / "line.toml").write_text('max-memory = "99.5MB"\nlatency-budget = 40.0\nmax-size = 5000\n')
    _, out, _ = ask(run, "--config", tmp_path / "line.toml")
    assert "memory of 100 MB against --max-memory 99.5 MB" in out
    (tmp_path / "line.toml").write_text("frames = 5\n")
    code, _, err = ask(run, "--config", tmp_path / "line.toml")
    assert code == 2
    assert "no option 'frames'" in err


def test_save_writes_requirements_verdicts_and_report_and_leaves_what_was_measured(ask, run):
    before = files(run)
    code, out, _ = ask(run, "--max-map-drop", "0.15", "--save")
    assert code == 0
    assert f"Report: {run}/report.html" in out
    assert verdict_of(run, "c/fp32/dyn") == "recommended"
    after = RunFolder(run).load()
    assert after.settings.requirements.max_map_drop == 0.15
    assert after.judged_again is not None
    assert files(run)["samples.npz"] == before["samples.npz"]
    assert RunFolder(run).load().trials == record(after.trials).trials
    report = (run / "report.md").read_text()
    assert "## How likely each meets the Requirements" in report
    assert "Judged again on " in report
    assert "chance_max_map_drop" in (run / "table.csv").read_text().splitlines()[0]
    code, out, _ = ask(run)
    assert "Deploy c/fp32/dyn" in out, "what was saved is what stays"


def test_json_is_the_table_with_the_chances(ask, run):
    _, out, _ = ask(run, "--json", "--max-memory", "1GB")
    rows = {row["candidate"]: row for row in json.loads(out)}
    assert rows["b/fp32/dyn"]["chance_max_memory"] == 1
    assert rows["d/fp32/dyn"]["chance_max_memory"] is None, "not measured"
    assert 0.2 < rows["d/fp32/dyn"]["chance_max_map_drop"] < 0.8


def test_an_old_run_without_samples_says_in_a_line_what_it_lacks(ask, run):
    (run / "samples.npz").unlink()
    code, out, err = ask(run, "--max-map-drop", "0.15")
    assert code == 0
    assert err.count("\n") == 1
    assert "no timing samples: no latency, speedup or tie can be told; no resampled image sets" in err
    assert "this Run's timing samples are missing, so nothing can be recommended" in out
    assert "c/fp32/dyn" in out
    for option in (("--save",), ("--out", run.parent / "copy")):
        before = files(run)
        code, _, err = ask(run, *option)
        assert code == 2
        assert "holds no timing samples: a report made again would lose its latencies" in err
        assert files(run) == before
        assert not (run.parent / "copy").exists()


def test_the_oldest_format_is_judged_again(ask, tmp_path):
    old = Path(__file__).parents[2] / "benchmarks" / "results" / "deeppcb-cpu"
    shutil.copytree(old, tmp_path / "old")
    code, out, err = ask(tmp_path / "old", "--max-recall-drop", "0.02")
    assert code == 0
    assert "no timing samples" in err
    assert "undecided" in out, "recall at one threshold was not measured then"


def test_an_interrupted_run_is_judged_but_only_its_copy_written(ask, run, tmp_path):
    with RunFolder.resume(run) as folder:
        folder.save(msgspec.structs.replace(folder.load(), finished=None, verdicts=()))
        folder.put("late", {"late/x": np.arange(3)})  # a part that was never made one with the rest
    (run / "artifacts").mkdir()
    (run / "artifacts" / "x").write_bytes(b"x")
    before = files(run)
    assert "Deploy b/fp32/dyn" in ask(run)[1]
    code, _, err = ask(run, "--save")
    assert code == 2
    assert "was interrupted: finish it with --resume, or write a copy with --out DIR" in err
    code, out, _ = ask(run, "--max-map-drop", "0.15", "--out", tmp_path / "copy")
    assert code == 0
    assert f"Report: {tmp_path / 'copy'}/report.html" in out
    assert files(run) == before
    assert verdict_of(tmp_path / "copy", "c/fp32/dyn") == "recommended"
    assert (tmp_path / "copy" / "artifacts" / "x").read_bytes() == b"x"
    assert RunFolder(tmp_path / "copy").timings().keys() == TIMINGS.keys()
    assert RunFolder(tmp_path / "copy").samples("late/")["late/x"].tolist() == [0, 1, 2]


def test_a_tune_keeps_its_answer_and_tells_its_chances(ask, tmp_path):
    tuned = msgspec.structs.replace(tune_record(FAMILY, trials=TUNED), finished="later")
    run = write(tmp_path / "tune", tuned, tune_timings(BATCH_WINS))
    code, out, err = ask(run, "--latency-budget", "11", "--max-size", "3MB")
    assert (code, err) == (0, "")
    assert "Recommended for 1x1" in out
    assert "Chance of meeting --max-size 3 MB: yes:" in out
    assert "--max-map-drop" not in out  # a tune measures no accuracy


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--max-size", "0MB"), "'0MB' is not a size above 0, such as 500MB or 1.5GiB"),
        (("--max-memory", "much"), "'much' is not a size above 0"),
        (("--latency-budget", "fast"), "'fast' is neither a number nor 'none'"),
        (("--latency-budget", "-1"), "latency-budget -1 is not positive; give a limit such as 40"),
        (("--max-map-drop", "-1"), "max-map-drop -1 is not 0 or more; give a drop such as 0.01"),
        (("--percentile", "100"), "percentile 100 is not between 0 and 100"),
        (("--save", "--out", "x"), "give one of them"),
    ],
)
def test_bad_requirements_are_refused_in_a_line(ask, run, arguments, says):
    code, out, err = ask(run, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("bakeoff: error: ")
    assert err.count("\n") == 1
    assert says in err


def test_a_copy_goes_into_no_folder_that_holds_something(ask, run):
    assert "holds a Run already" in ask(run, "--out", run)[2]
    assert "lies within" in ask(run, "--out", run / "copy")[2]
    assert "holds no Run" in ask(run.parent / "nowhere")[2]


def test_in_python_a_run_judged_again_is_another_run_until_it_is_saved(run, tmp_path):
    old = bakeoff.Run(run)
    before = files(run)
    new = old.judge(max_map_drop=0.15, max_memory_bytes=math.inf)
    assert (old.verdict.key, new.verdict.key) == ("b/fp32/dyn", "c/fp32/dyn")
    assert new.answer.startswith("**Deploy `c/fp32/dyn`**")
    new.report(tmp_path / "new.md")
    assert "Deploy `c/fp32/dyn`" in (tmp_path / "new.md").read_text()
    assert files(run) == before
    again = new.judge(latency_budget_ms=1.0)
    assert again.record.settings.requirements.max_map_drop == 0.15, "asked again of the new one"
    assert again.verdict is None
    with pytest.raises(BakeoffError, match="max-size 0 is not positive"):
        old.judge(max_size_bytes=0)


def test_run_and_verify_take_the_limits_from_the_command_line_and_from_toml(tmp_path):
    """As `bakeoff run` reads them: the same options and the same Settings."""
    found = []

    @click.command()
    @options.inputs
    @options.judging
    def probe(**values):
        found.append(options.settings({"model": "m.pt", **values}).requirements)

    (tmp_path / "x.toml").write_text('max_memory = "1.5GiB"\nmax-size = "20MB"\nprefer = "size"\n')
    CliRunner().invoke(probe, ["--config", str(tmp_path / "x.toml"), "--max-size", "5MB"], catch_exceptions=False)
    CliRunner().invoke(probe, [], catch_exceptions=False)
    assert (found[0].max_memory_bytes, found[0].max_size_bytes, found[0].prefer) == (3 * 2**29, 5_000_000, "size")
    assert found[1] == bakeoff.api.Requirements()


@pytest.mark.slow
def test_a_run_keeps_what_its_chances_are_made_of(tmp_path, tiny_model, tiny_data):
    limits = ("--max-recall-drop", "0.02", "--max-memory", "4GiB", "--max-size", "1B")
    asked = ("--data", tiny_data, "--only", "openvino/fp32/dyn", "--out", "run", *limits)
    done = run_bakeoff("verify", tiny_model, *asked, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = RunFolder(tmp_path / "run")
    record, drawn = folder.load(), folder.resamples()
    own, theirs = drawn["openvino/fp32/dyn"]["op_recall"], drawn[record.reference]["op_recall"]
    delta = record.trial("openvino/fp32/dyn").operating_point.deltas["recall"]
    assert (delta.low, delta.high) == pytest.approx(tuple(np.nanpercentile(own - theirs, [2.5, 97.5])))
    (verdict,) = [one for one in record.verdicts if one.key == "openvino/fp32/dyn"]
    assert verdict.chances["max-size"] == 0
    assert verdict.chances["max-memory"] == 1
    assert "size of " in verdict.why or verdict.verdict != "accepted"
