from __future__ import annotations

import json
import subprocess
import sys

from click import unstyle
from click.testing import CliRunner

from bakeoff import doctor
from bakeoff.cli import cli
from bakeoff.cli.doctor import lines
from bakeoff.records import Finding

FOUND = [
    Finding(level="problem", topic="gpu", what="no driver", cure="install it"),
    Finding(level="warning", topic="governor", what="powersave", cure="sudo cpupower frequency-set -g performance"),
    Finding(level="ok", topic="swap", what="off"),
]


def test_each_cure_is_indented_beneath_its_finding_and_a_summary_ends_it():
    assert [unstyle(line) for line in lines(FOUND)] == [
        "problem  gpu       no driver",
        "         cure: install it",
        "warning  governor  powersave",
        "         cure: sudo cpupower frequency-set -g performance",
        "ok       swap      off",
        "1 problem, 1 warning, 0 notes, 1 ok; nothing was changed",
    ]


def test_a_problem_still_exits_with_0(monkeypatch):
    monkeypatch.setattr(doctor, "examine", lambda: FOUND)
    result = CliRunner().invoke(cli, ["doctor"])
    assert result.exit_code == 0
    assert result.output.splitlines()[-1].startswith("1 problem")


def test_json_is_a_list_of_findings(monkeypatch):
    monkeypatch.setattr(doctor, "examine", lambda: FOUND)
    found = json.loads(CliRunner().invoke(cli, ["doctor", "--json"]).output)
    assert [one["level"] for one in found] == ["problem", "warning", "ok"]
    assert found[0] == {"level": "problem", "topic": "gpu", "what": "no driver", "cure": "install it"}


def test_bad_usage_exits_with_2():
    assert CliRunner().invoke(cli, ["doctor", "--no-such"]).exit_code == 2


def test_doctor_help_imports_nothing_heavy():
    code = (
        "from bakeoff.cli import invoke; invoke(['doctor', '--help']); import sys; "
        "print({'numpy', 'cv2', 'scipy', 'torch', 'psutil', 'pynvml', 'packaging'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_this_machine_is_examined_in_order_and_nothing_breaks():
    done = subprocess.run(
        [sys.executable, "-m", "bakeoff", "doctor", "--json"], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    levels = [doctor.LEVELS.index(one["level"]) for one in found]
    assert levels == sorted(levels)
    assert not [one for one in found if "could not be looked at" in one["what"]]
    assert {"load", "swap", "memory", "disk", "packages", "telemetry", "backend pytorch"} <= {
        one["topic"] for one in found
    }
