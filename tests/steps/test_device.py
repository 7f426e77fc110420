"""`--device`: who runs on a GPU runs there, who does not says so, and a Session elsewhere than asked is a Failure.

The GPU is a claim of a fake backend here: what is tested is which device each Session is asked for and held to.
"""

from __future__ import annotations

import pytest

from bakeoff.backend import device_for
from bakeoff.store import RunFolder
from bakeoff.testing import FakeBackend, check_backend
from tests.cli.runner import bakeoff, rows

PLUGIN = """
from bakeoff.testing import FakeBackend

class OnGpu(FakeBackend):
    name = "on-gpu"
    title = "On a GPU"
    devices = ("cuda",)

    def load(self, job):
        session = super().load(job)
        session.device = job.device
        return session

class OnAnother(OnGpu):
    name = "on-another"

    def load(self, job):
        session = super().load(job)
        session.device = "cuda:7"
        return session
"""
BACKENDS = {"on-gpu": "OnGpu", "on-another": "OnAnother"}


class Both(FakeBackend):
    devices = ("cuda", "cpu")


class Gpu(FakeBackend):
    devices = ("cuda",)

    def load(self, job):
        session = super().load(job)
        session.device = job.device
        return session


@pytest.mark.parametrize(
    ("backend", "asked", "device"),
    [
        (FakeBackend(), None, "cpu"),
        (FakeBackend(), "cpu", "cpu"),
        (FakeBackend(), "cuda:1", "cpu"),
        (Gpu(), None, "cuda:0"),
        (Gpu(), "cpu", None),
        (Gpu(), "cuda:1", "cuda:1"),
        (Both(), "cuda:1", "cuda:1"),
        (Both(), "cpu", "cpu"),
    ],
)
def test_a_backend_runs_where_it_is_asked_to_or_on_the_cpu_or_nowhere(backend, asked, device):
    assert device_for(backend, asked) == device


def test_a_backend_made_for_a_gpu_is_checked_on_one(tiny_model, tmp_path):
    assert check_backend(Gpu(), tiny_model, folder=tmp_path) == []


@pytest.mark.slow
def test_each_runs_on_its_own_device_and_the_row_says_which(tmp_path, tiny_model, tiny_data, plugin):
    site = plugin("gpus", PLUGIN, BACKENDS)
    only = ("--only", "on-*", "--only", "onnxruntime/fp32/dyn", "--device", "cuda:0", "--out", "run")
    done = bakeoff("verify", tiny_model, "--data", tiny_data, *only, cwd=tmp_path, plugins=[site])
    assert done.returncode == 0, done.stderr
    table = rows(tmp_path / "run")
    assert {key: row["device"] for key, row in table.items() if row["status"] == "ok"} == {
        "onnxruntime/fp32/dyn": "cpu",
        "on-gpu/fp32/dyn": "cuda:0",
    }
    assert "ONNX Runtime" in next(line for line in done.stderr.splitlines() if line.startswith("on the CPU, for"))
    failure = RunFolder(tmp_path / "run").load().trial("on-another/fp32/dyn").failure
    assert failure.cause == "RuntimeError: asked for device cuda:0, but the Session runs on cuda:7"
    assert "--device cuda:0" in failure.reproduce


@pytest.mark.slow
def test_without_the_option_what_needs_a_gpu_is_skipped_and_says_what_to_give(tmp_path, tiny_model, tiny_data, plugin):
    site = plugin("gpus", PLUGIN, BACKENDS)
    only = ("--only", "on-gpu/*", "--only", "onnxruntime/fp32/b1", "--out", "run")
    done = bakeoff("verify", tiny_model, "--data", tiny_data, *only, cwd=tmp_path, plugins=[site])
    assert done.returncode == 0, done.stderr
    row = rows(tmp_path / "run")["on-gpu/fp32/dyn"]
    assert row["status"] == "skipped"
    assert row["reason"] == "On a GPU does not run on cpu; use --device cuda:0"


@pytest.mark.slow
def test_it_is_converted_without_the_option(tmp_path, tiny_model, plugin):
    site = plugin("gpus", PLUGIN, BACKENDS)
    done = bakeoff("convert", tiny_model, "--to", "on-gpu/fp32/dyn", "--out", "made", cwd=tmp_path, plugins=[site])
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "made" / "fake.json").exists()


def test_a_device_that_no_backend_runs_on_is_refused(tmp_path, tiny_model, tiny_data):
    done = bakeoff("verify", tiny_model, "--data", tiny_data, "--device", "npu:3", "--out", "run", cwd=tmp_path)
    assert done.returncode == 2
    assert "device 'npu:3': no backend runs on it here" in done.stderr
