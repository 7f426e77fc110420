"""Cameras and sustained load from end to end, on a tiny network; what is asserted does not depend on how fast it is."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from bakeoff.bake import bake
from bakeoff.records import Settings, Workload
from bakeoff.speed import cameras, capacity
from bakeoff.steps.context import Silent
from bakeoff.store import RunFolder

KEY, REFERENCE = "onnxruntime/fp32/static", "onnxruntime/fp32/dyn"
FPS, SLO_MS, PERCENTILE = 100.0, 60.0, 50.0
MOODY = """
import threading
from bakeoff.testing import FakeBackend

class Moody(FakeBackend):
    name = "moody"

    def load(self, job):
        session = super().load(job)
        honest = session.run

        def run(images):
            if threading.current_thread() is not threading.main_thread():
                raise RuntimeError("not from a thread")
            return honest(images)

        session.run = run
        return session
"""


class Stops(Silent):
    """An observer that interrupts a stage once it has advanced so often."""

    def __init__(self, stage, after):
        self._wanted, self._left, self._here = stage, after, False

    def stage(self, name, total):
        self._here = name.startswith(self._wanted)

    def advance(self, parts=1, what=""):
        if self._here and parts:
            self._left -= 1
            if self._left < 0:
                raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def short(monkeypatch):
    for name, value in (("QUICK_REPETITION_S", 0.1), ("SLOS", 0), ("INTERVALS", 0)):
        monkeypatch.setattr(capacity, name, value)
    monkeypatch.setattr(capacity, "LIMIT", 12)


@pytest.fixture
def settings(tiny_model, tiny_data):
    return Settings(
        model=str(tiny_model),
        data=str(tiny_data),
        only=(KEY,),
        workloads=(Workload(streams=1, batch=1), Workload(streams=2, batch=1)),
        frames=8,
        quick=True,
        accuracy=False,
        cameras_fps=FPS,
        slo_ms=SLO_MS,
        slo_percentile=PERCENTILE,
        camera_seconds=4.0,
        sustain_s=0.3,
    )


def change(settings, **fields):
    return Settings(**{name: getattr(settings, name) for name in Settings.__struct_fields__} | fields)


@pytest.mark.slow
def test_a_run_with_cameras_and_sustained_load_keeps_every_frame_and_says_what_came_of_it(settings, tmp_path):
    folder = RunFolder(bake(settings, tmp_path / "run"))
    run = folder.load()
    trial = run.trial(KEY)
    assert run.trial(REFERENCE).cameras is None, "it was not selected"
    assert run.trial(REFERENCE).sustained is None

    found = trial.cameras
    assert (found.fps, found.slo_ms, found.percentile) == (FPS, SLO_MS, PERCENTILE)
    assert {level.streams for level in found.levels} == {1, 2}
    stored = cameras.read(folder.samples("cameras/"))[KEY]
    assert {(level.streams, level.cameras) for level in found.levels} == set(stored)
    for level in found.levels:
        samples = stored[level.streams, level.cameras]
        done = np.isfinite(samples.latency_ns)
        assert (
            level.frames == samples.latency_ns.size == level.repetitions * level.cameras * samples.latency_ns.shape[2]
        )
        assert level.dropped == (~done).sum()
        assert (samples.latency_ns[done] >= samples.wait_ns[done]).all()
        assert (samples.wait_ns >= 0).all()
        assert (samples.phase_ns < 1e9 / FPS).all()
        assert level.repetitions == len(samples.generation)
    assert cameras.answer(stored, FPS, SLO_MS, PERCENTILE, seed=0) == found
    if found.cameras is not None:
        assert found.low <= found.cameras <= (found.high or capacity.LIMIT)

    load = trial.sustained
    assert load.complete
    assert load.seconds == pytest.approx(settings.sustain_s, rel=0.5)
    assert load.frames == sum(window.frames for window in load.windows)
    arrays = folder.samples("sustained/")
    assert len(arrays[f"sustained/{KEY}/latency_ns"]) == load.frames
    assert arrays[f"sustained/{KEY}/count"].sum() == load.frames

    with (folder.path / "table.csv").open(newline="") as file:
        rows = {row["candidate"]: row for row in csv.DictReader(file)}
    assert rows[KEY]["cameras"] == ("" if found.cameras is None else str(found.cameras))
    assert float(rows[KEY]["sustained_p50_ms"]) == pytest.approx(load.p50_ms)
    assert rows[REFERENCE]["cameras"] == rows[REFERENCE]["sustained_p50_ms"] == ""
    text = (folder.path / "report.md").read_text()
    assert "## How many cameras" in text
    assert "## Sustained load" in text
    assert (folder.path / "charts" / "sustained.png").exists()


@pytest.mark.slow
def test_an_interruption_keeps_what_the_cameras_said_and_resume_adds_to_it(settings, tmp_path):
    settings = change(settings, sustain_s=None)
    with pytest.raises(KeyboardInterrupt):
        bake(settings, tmp_path / "run", Stops("cameras", 6))
    folder = RunFolder(tmp_path / "run")
    before = cameras.read(folder.samples("cameras/"))[KEY]
    assert sum(len(samples.generation) for samples in before.values()) >= 1
    assert folder.load().trial(KEY).cameras is None
    bake(settings, tmp_path / "run", resume=True)
    after = cameras.read(folder.samples("cameras/"))[KEY]
    for at, samples in before.items():
        count = len(samples.generation)
        assert np.array_equal(after[at].latency_ns[:count], samples.latency_ns)
        assert (after[at].generation[count:] > samples.generation.max()).all(), "other processes"
    assert sum(len(samples.generation) for samples in after.values()) > sum(len(s.generation) for s in before.values())
    assert folder.load().trial(KEY).cameras is not None


@pytest.mark.slow
def test_an_interrupted_load_is_kept_as_far_as_it_came_and_resume_begins_it_anew(settings, tmp_path):
    settings = change(settings, cameras_fps=None, slo_ms=None, camera_seconds=None, sustain_s=3.0)
    with pytest.raises(KeyboardInterrupt):
        bake(settings, tmp_path / "run", Stops("sustained", 2))
    folder = RunFolder(tmp_path / "run")
    kept = folder.load().trial(KEY).sustained
    assert not kept.complete
    assert 0 < kept.seconds < 3
    assert kept.frames == len(folder.samples("sustained/")[f"sustained/{KEY}/latency_ns"])
    assert "of 3.0 s: ended early" in (folder.path / "report.md").read_text()
    bake(settings, tmp_path / "run", resume=True)
    again = folder.load().trial(KEY).sustained
    assert again.complete
    assert again.seconds > kept.seconds


@pytest.mark.slow
def test_a_candidate_that_fails_under_load_becomes_its_failure_and_the_others_go_on(settings, tmp_path, plugin):
    plugin("moody", MOODY, {"moody": "Moody"})
    one = (Workload(streams=1, batch=1),)
    run = RunFolder(bake(change(settings, only=("moody/*", KEY), workloads=one), tmp_path / "run")).load()
    failed = run.trial("moody/fp32/dyn")
    assert failed.status == "failed"
    assert "not from a thread" in failed.failure.cause
    assert failed.cameras is None
    assert run.trial(KEY).status == "ok"
    assert run.trial(KEY).cameras is not None
    assert run.trial(KEY).sustained is not None


@pytest.mark.slow
def test_the_reference_takes_part_where_it_is_selected_or_alone(settings, tmp_path):
    settings = change(settings, cameras_fps=None, slo_ms=None, camera_seconds=None, sustain_s=0.2, only=(REFERENCE,))
    run = RunFolder(bake(settings, tmp_path / "run")).load()
    assert run.trial(REFERENCE).sustained is not None
