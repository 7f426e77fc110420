from __future__ import annotations

import itertools

import numpy as np
import pytest

from bakeoff.data.letterbox import Normaliser, letterbox
from bakeoff.models.tasks.detection import timed
from bakeoff.pipeline import Pipeline


class Session:
    """Keeps what it was given, and finds one box in the middle of the canvas."""

    def run(self, images):
        self.images = images.copy()
        head = np.zeros((len(images), 5, 2), np.float32)
        head[:, :, 0] = [32, 32, 16, 16, 0.9]
        return [head]


@pytest.fixture
def session():
    return Session()


def expected(frame):
    canvas, tensor = np.empty((64, 64, 3), np.uint8), np.empty((3, 64, 64), np.float32)
    letterbox(frame, canvas)
    Normaliser(64)(canvas, tensor)
    return tensor


def test_every_frame_is_prepared_as_if_it_were_the_first_whatever_came_before(session):
    rng = np.random.default_rng(0)
    pipeline = Pipeline(session, 64, 2, timed(), lambda: 0)
    sizes = [(36, 64), (36, 64), (64, 36), (36, 64), (80, 97), (80, 97), (64, 64), (36, 64)]
    frames = [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    for one, other in itertools.pairwise(frames):
        pipeline.predict([one, other])
        assert np.array_equal(session.images[0], expected(one))
        assert np.array_equal(session.images[1], expected(other))


def test_scoring_a_canvas_in_between_disturbs_nothing(session):
    frame = np.random.default_rng(1).integers(0, 256, (36, 64, 3), np.uint8)
    pipeline = Pipeline(session, 64, 1, timed(), lambda: 0)
    pipeline.predict([frame])
    pipeline.raw(np.zeros((64, 64, 3), np.uint8))
    pipeline.predict([frame])
    assert np.array_equal(session.images[0], expected(frame))


def test_boxes_come_back_in_pixels_of_the_frame(session):
    detections, _ = Pipeline(session, 64, 1, timed(), lambda: 0).predict([np.zeros((72, 128, 3), np.uint8)])
    assert detections[0].xyxy.tolist() == [[48, 20, 80, 52]]


def test_the_parts_of_a_latency_are_read_from_the_clock_handed_in(session):
    ticks = iter([100, 103, 110, 111])
    _, times = Pipeline(session, 64, 1, timed(), lambda: next(ticks)).predict([np.zeros((8, 8, 3), np.uint8)])
    assert (times.pre_ns, times.run_ns, times.post_ns) == (3, 7, 1)


def test_images_are_written_into_the_memory_that_the_session_gives(session):
    own = np.zeros((1, 3, 64, 64), np.float32)
    session.locked_images = {(1, 3, 64, 64): own}.get
    frame = np.full((64, 64, 3), 255, np.uint8)
    Pipeline(session, 64, 1, timed(), lambda: 0).predict([frame])
    assert (own == 1).all()
