from __future__ import annotations

import os
import time

import numpy as np
import pytest

from bakeoff import registry
from bakeoff.records import Candidate
from bakeoff.testing import FakeBackend, FakeClock, check_backend
from tests.shared import MODEL, needs_shared

PLUGIN = "from bakeoff.testing import FakeBackend\n\n\nclass Fake(FakeBackend):\n    pass\n"


def test_a_fake_clock_moves_only_when_told():
    clock = FakeClock(now_ns=5)
    assert [clock(), clock()] == [5, 5]
    clock.advance(ms=1.5)
    assert clock() == 1_500_005
    ticking = FakeClock(tick_ns=10)
    assert [ticking(), ticking(), ticking()] == [0, 10, 20]


def test_the_fake_backend_passes_the_suite(tiny_model, tmp_path):
    assert check_backend(FakeBackend(), tiny_model, folder=tmp_path) == []


def test_a_backend_found_by_its_entry_point_passes_the_suite(tiny_model, tmp_path, plugin):
    plugin("somebodys", PLUGIN, {"fake": "Fake"})
    assert "fake" in registry.names()
    assert check_backend(registry.load("fake"), tiny_model, folder=tmp_path / "work") == []


def with_run(change):
    """Return a fake backend whose Sessions' outputs are changed."""

    class Changed(FakeBackend):
        def load(self, job):
            session = super().load(job)
            honest = session.run
            session.run = lambda images: change(honest, images)
            return session

    return Changed()


def edited(edit):
    def change(honest, images):
        outputs = honest(images)
        edit(outputs[0])
        return outputs

    return with_run(change)


def nan(head):
    head[:, 0, 0] = np.nan


def loud(head):
    head[:, 4:] *= 300


class Slot:
    """A Session that keeps its input in one place for all threads."""

    def __init__(self):
        self.images = None

    def __call__(self, honest, images):
        self.images = images
        time.sleep(0.01)
        return honest(self.images)


class WritesBeside(FakeBackend):
    def convert(self, job):
        (job.folder.parent / "beside.txt").touch()
        return super().convert(job)


class Understates(FakeBackend):
    def convert(self, job):
        artifact = super().convert(job)
        (job.folder / "weights.bin").write_bytes(b"more")
        return artifact


class Half(FakeBackend):
    def load(self, job):
        session = super().load(job)
        session.precision = "fp16"
        return session


class Elsewhere(FakeBackend):
    def load(self, job):
        session = super().load(job)
        session.device = "gpu"
        return session


class Mute(FakeBackend):
    def unavailable(self, step):
        return "no"


class Empty(FakeBackend):
    def propose(self, model, host):
        return []


class Stranger(FakeBackend):
    def propose(self, model, host):
        return [Candidate(backend="other", precision="fp32", shape="dyn")]


class Twice(FakeBackend):
    def propose(self, model, host):
        return [*super().propose(model, host)] * 2


class BadShape(FakeBackend):
    def propose(self, model, host):
        return [Candidate(backend=self.name, precision="fp32", shape="dynamic")]


class Climbs(FakeBackend):
    def propose(self, model, host):
        return [Candidate(backend=self.name, precision="fp32", shape="dyn", options=("../../x",))]


class NoBatch(FakeBackend):
    def load(self, job):
        session = super().load(job)
        honest = session.run
        session.run = lambda images: honest(images[:1])
        return session


class Details(FakeBackend):
    def load(self, job):
        session = super().load(job)
        session.details = {"threads": object()}
        return session


CALLS = iter(range(1_000_000))

BROKEN = {
    "NaN": (edited(nan), "NaN or infinite"),
    "scores": (edited(loud), "not in 0..1"),
    "type": (with_run(lambda honest, images: [honest(images)[0].astype(np.float64)]), "float64, not float32"),
    "shape": (with_run(lambda honest, images: [honest(images)[0][:, :5]]), "expected a NumPy array [1, 6, anchors]"),
    "nothing": (with_run(lambda honest, images: []), "expected a NumPy array"),
    "constant": (with_run(lambda honest, images: honest(np.zeros_like(images))), "different images give the same"),
    "random": (with_run(lambda honest, images: [honest(images)[0] + next(CALLS)]), "0..1"),
    "unstable": (edited(lambda head: head.__setitem__((0, 0, 0), next(CALLS))), "another output the second time"),
    "input": (with_run(lambda honest, images: [honest(images)[0], images.fill(0)]), "changes the images"),
    "threads": (with_run(Slot()), "two threads at once"),
    "batch": (NoBatch(), "for a batch of 2"),
    "writes beside": (WritesBeside(), "writes outside its folder"),
    "understates": (Understates(), "files are not those in its folder"),
    "precision": (Half(), "computes in fp16"),
    "device": (Elsewhere(), "runs on gpu"),
    "details": (Details(), "no plain JSON"),
    "mute": (Mute(), "the reason and the cure"),
    "empty": (Empty(), "proposes nothing"),
    "stranger": (Stranger(), "whose backend is another"),
    "twice": (Twice(), "twice"),
    "bad shape": (BadShape(), "is not static, dyn, bN or dMIN-MAX"),
    "climbs": (Climbs(), "each part of a key"),
}


@pytest.fixture(autouse=True)
def path_of_this_module(monkeypatch):
    """The suite imports a backend's module in a fresh interpreter; this one is `tests.test_testing`."""
    monkeypatch.syspath_prepend(os.getcwd())


@pytest.mark.parametrize("name", BROKEN)
def test_the_suite_finds_what_is_broken(tiny_model, tmp_path, name):
    backend, said = BROKEN[name]
    problems = check_backend(backend, tiny_model, folder=tmp_path)
    assert any(said in problem for problem in problems), problems


def test_the_suite_finds_a_module_that_imports_a_runtime(tiny_model, tmp_path, plugin):
    plugin("hasty", "import onnxruntime\n" + PLUGIN, {"fake": "Fake"})
    problems = check_backend(registry.load("fake"), tiny_model, folder=tmp_path / "work")
    assert len(problems) == 1
    assert "imports onnxruntime" in problems[0]


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_built_in_backends_pass_the_suite_with_an_onnx_model(tiny_model, tmp_path, name):
    pytest.importorskip(name)
    assert check_backend(registry.load(name), tiny_model, folder=tmp_path, only="*/fp32/*") == []


@pytest.mark.slow
@needs_shared
@pytest.mark.parametrize("name", ["pytorch", "torchscript", "onnxruntime", "openvino"])
def test_built_in_backends_pass_the_suite_with_a_checkpoint(tmp_path, name):
    assert check_backend(registry.load(name), MODEL, folder=tmp_path, imgsz=64) == []
