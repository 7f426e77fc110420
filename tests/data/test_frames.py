from __future__ import annotations

import cv2
import numpy as np
import pytest

from bakeoff.data import calibration, frames
from bakeoff.data.images import decode
from bakeoff.data.letterbox import letterbox
from bakeoff.errors import InputError


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    paths = []
    for i, (h, w) in enumerate([(40, 60), (60, 40), (64, 64), (33, 97)]):
        paths.append(tmp_path / f"{i}.png")
        cv2.imwrite(str(paths[-1]), rng.integers(0, 256, (h, w, 3), np.uint8))
    return paths


def test_the_cache_holds_what_decoding_and_letterboxing_give(tmp_path, images):
    seen = []
    frames.build(tmp_path / "cache", images, 64, timed_frames=3, progress=seen.append)
    with frames.FrameCache(tmp_path / "cache") as cache:
        for i, path in enumerate(images):
            expected, canvas = np.empty((64, 64, 3), np.uint8), np.empty((64, 64, 3), np.uint8)
            geometry = letterbox(decode(path), expected)
            cache.read_canvas(i, canvas)
            assert np.array_equal(canvas, expected)
            assert cache.geometry(i) == geometry
        assert np.array_equal(cache.frame(1), decode(images[1]))
        assert np.array_equal(cache.frame(3), decode(images[0])), "frames cycle over those kept for timing"
    assert sorted(seen) == [1, 2, 3, 4]


def test_frames_for_timing_stop_at_the_limit_but_are_never_none(tmp_path, images, monkeypatch):
    monkeypatch.setattr(frames, "FRAME_BYTES_LIMIT", 1)
    index = frames.build(tmp_path / "cache", images, 64, timed_frames=4, threads=1)
    assert len(index.offsets) == 1
    assert index.images == 4


def test_every_unreadable_image_is_named_and_counted(tmp_path, images):
    images[1].write_bytes(b"")
    images[3].write_bytes(images[3].read_bytes()[:50])
    with pytest.raises(InputError, match=r"2 of 4 images cannot be read: .*1\.png, .*3\.png"):
        frames.build(tmp_path / "cache", images, 64, timed_frames=4)


def test_a_calibration_draw_repeats_with_its_seed_and_has_no_image_twice(images):
    drawn = calibration.draw(images, 3, seed=1)
    assert len(set(drawn)) == 3
    assert drawn == calibration.draw(list(reversed(images)), 3, seed=1)
    assert len(calibration.draw(images, 99, seed=1)) == 4
    assert len({tuple(calibration.draw(images, 2, seed=s)) for s in range(20)}) > 1


def test_a_copied_image_is_an_overlap_whatever_its_name(tmp_path, images):
    copy = tmp_path / "other-name.png"
    copy.write_bytes(images[2].read_bytes())
    with pytest.raises(InputError, match=r"other-name\.png = .*2\.png"):
        calibration.check_disjoint([images[0], copy], [images[1], images[2]])
    calibration.check_disjoint([images[0]], [images[1], images[2]])
