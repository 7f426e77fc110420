from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

import bakeoff
from bakeoff.cli import cli, invoke
from tests.cli.runner import SOURCE
from tests.comparison.runs import Made

CI = Path(__file__).parents[2] / "docs" / "ci.md"


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Two Runs: in `slower`, b takes 20% longer and finds less."""
    folder = tmp_path_factory.mktemp("runs")
    Made().write(folder / "base")
    Made(latencies={"a": 10.0, "b": 6.0, "c": 2.0}, hits={"b": 0.7}, seed=1).write(folder / "slower")
    return folder


@pytest.fixture
def compare(runs, monkeypatch, capsys):
    monkeypatch.chdir(runs)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = invoke(["compare", *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_zero_without_rules_and_where_they_are_kept(compare):
    assert compare("base", "slower")[0] == 0
    code, out, err = compare("base", "base", "--fail-if", "latency_1x1_ms > +1%", "--fail-if", "status != ok")
    assert (code, err) == (0, "")
    assert "mAP50-95 differs for 0 of 3 Candidates." in out


def test_three_and_one_line_a_rule_where_rules_are_broken(compare):
    rules = ("latency_1x1_ms > +5%", "val_map50_95 < 0.01", "surely val_map50_95 < -1%")
    code, out, err = compare("base", "slower", *(word for rule in rules for word in ("--fail-if", rule)))
    assert code == 3
    assert err == ""
    lines = [line for line in out.splitlines() if line.startswith("broken: ")]
    assert [line.partition(": b/fp32/dyn: ")[0] for line in lines] == [f"broken: {rules[0]}", f"broken: {rules[2]}"]
    assert "slower: b/fp32/dyn at 1x1, b/fp32/dyn at 2x1" in out


def test_three_for_want_of_data_unless_that_is_allowed(compare):
    arguments = ("base", "slower", "--fail-if", "latency_1x1_p99_ms > 3")
    code, out, _ = compare(*arguments)
    assert code == 3
    assert "insufficient data: latency_1x1_p99_ms > 3: neither A nor B has latency_1x1_p99_ms" in out
    code, out, _ = compare(*arguments, "--allow-missing")
    assert code == 0
    assert "insufficient data: " in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("base", "nowhere"), "nowhere holds no Run"),
        (("base", "base", "--fail-if", "latency_1x1 > 3"), "did you mean 'latency_1x1_ms'?"),
        (("base", "base", "--fail-if", "x\n\x1b"), "can't be read"),
        (("base", "base", "--json", "--markdown", "-"), "both want stdout"),
        (("base", "base", "--markdown", "no/folder.md"), "no/folder.md cannot be written"),
        (("base",), "Missing argument"),
    ],
)
def test_two_and_one_line_for_bad_input(compare, arguments, says):
    code, out, err = compare(*arguments)
    assert (code, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1
    assert err.rstrip().isprintable()


def test_a_damaged_run_is_one_line(compare, runs, tmp_path):
    (tmp_path / "results.json").write_bytes((runs / "base" / "results.json").read_bytes()[:500])
    code, _, err = compare("base", str(tmp_path))
    assert code == 2
    assert "is damaged" in err


def test_json_is_the_whole_comparison_and_broken_rules_go_to_stderr(compare):
    code, out, err = compare("base", "slower", "--json", "--fail-if", "latency_1x1_ms > +5%")
    assert code == 3
    found = json.loads(out)
    assert found["passed"] is False
    assert found["candidates"][1]["speed"]["1x1"]["drift_free"] == pytest.approx(5 / 6, rel=0.02)
    assert err.startswith("broken: latency_1x1_ms > +5%: b/fp32/dyn: ")


def test_markdown_goes_to_a_file_or_to_stdout(compare, tmp_path):
    code, out, _ = compare("base", "slower", "--markdown", str(tmp_path / "x.md"))
    assert code == 0
    assert "Candidate (1x1)" in out
    text = (tmp_path / "x.md").read_text()
    assert compare("base", "slower", "--markdown", "-")[1] == text
    assert text.startswith("## bakeoff compare\n")


def test_from_python(runs):
    found = bakeoff.compare(runs / "base", bakeoff.Run(runs / "slower"), fail_if=["latency_1x1_ms > +5%"])
    assert not found.passed
    assert found.broken[0].startswith("broken: ")
    assert found.markdown().startswith("## bakeoff compare: a rule is broken")
    assert bakeoff.compare(runs / "base", runs / "base").passed


# --- the example workflow of docs/ci.md


@pytest.fixture(scope="module")
def workflow() -> dict:
    blocks = re.findall(r"^```yaml\n(.*?)^```$", CI.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    (block,) = (block for block in blocks if "jobs:" in block)
    return yaml.safe_load(block)


def scripts(workflow: dict) -> dict[str, str]:
    return {step["name"]: step["run"] for step in workflow["jobs"]["bakeoff"]["steps"] if "run" in step}


def test_the_example_workflow_has_the_parts_of_one(workflow):
    assert {"name", "jobs", "permissions"} <= workflow.keys()
    assert workflow[True].keys() >= {"pull_request", "push"}, "YAML 1.1 reads `on` as true"
    steps = workflow["jobs"]["bakeoff"]["steps"]
    assert all(("run" in step) != ("uses" in step) for step in steps)
    kept = [step["with"]["name"] for step in steps if step.get("uses", "").startswith("actions/upload-artifact")]
    assert f"--name {kept[0]} " in scripts(workflow)["Fetch the baseline"]


def test_every_command_of_the_example_workflow_exists_with_its_options(workflow):
    found = set()
    for script in scripts(workflow).values():
        assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
        for line in script.replace("\\\n", " ").splitlines():
            if line.strip().startswith("bakeoff "):
                name, *words = line.split("|")[0].split()[1:]
                command = cli.commands[name]
                known = {option for one in command.params if isinstance(one, click.Option) for option in one.opts}
                assert {word for word in words if word.startswith("--")} <= known, line
                found.add(name)
    assert found == {"doctor", "run", "compare"}


@pytest.mark.parametrize(("candidate", "code"), [("base", 0), ("slower", 3)])
def test_the_step_that_compares_gates_and_writes_the_summary(workflow, runs, tmp_path, candidate, code):
    (tmp_path / "baseline").symlink_to(runs / "base")
    (tmp_path / "candidate").symlink_to(runs / candidate)
    shim = tmp_path / "bin" / "bakeoff"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bakeoff "$@"\n')
    shim.chmod(shim.stat().st_mode | stat.S_IEXEC)
    environment = {
        **os.environ,
        "PATH": f"{shim.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(SOURCE),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }
    script = (
        scripts(workflow)["Compare"].replace("openvino/*", "b/*").replace("map_delta_high < -0.01", "size_bytes < 1")
    )
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert (tmp_path / "summary.md").read_text().startswith("## bakeoff compare: " + ("passed", "a rule")[code // 3])
    assert ("broken: b/*: latency_1x1_ms > +10%" in done.stderr) == bool(code)


def test_without_a_baseline_the_step_that_compares_says_so_and_passes(workflow, tmp_path):
    environment = {**os.environ, "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    done = subprocess.run(
        ["bash", "-e", "-c", scripts(workflow)["Compare"]], cwd=tmp_path, env=environment, check=False
    )
    assert done.returncode == 0
    assert "No baseline yet." in (tmp_path / "summary.md").read_text()
