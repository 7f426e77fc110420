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


def test_a_copy_in_another_folder_is_found_and_one_with_a_changed_byte_is_not(tmp_path, images):
    copy = tmp_path / "train" / "deep" / "another.png"
    copy.parent.mkdir(parents=True)
    content = bytearray(images[2].read_bytes())
    copy.write_bytes(content)
    with pytest.raises(InputError, match=r"1 calibration images are validation images too: .*another\.png = .*2\.png"):
        calibration.check_disjoint([copy], images)
    content[-20] ^= 1
    copy.write_bytes(content)
    calibration.check_disjoint([copy], images)


@pytest.mark.parametrize(("copies", "more"), [(20, ""), (23, " and 3 more")])
def test_a_leak_names_twenty_files_and_counts_the_rest(tmp_path, images, copies, more):
    pool = [tmp_path / f"copy{i}.png" for i in range(copies)]
    for path in pool:
        path.write_bytes(images[0].read_bytes())
    with pytest.raises(InputError) as caught:
        calibration.check_disjoint(pool, images)
    text = str(caught.value)
    assert text.startswith(f"{copies} calibration images are validation images too: ")
    assert text.count(" = ") == 20
    assert text.endswith(f"{images[0]}{more}; give other images with --calibration DIR")


def test_several_unreadable_images_tell_the_first_cause(tmp_path, images):
    (tmp_path / "phone.heic").write_bytes(b"any")
    images[1].write_bytes(b"")
    with pytest.raises(InputError, match=r"2 of 5 images .*; the first: image .*1\.png cannot be decoded"):
        frames.build(tmp_path / "cache", [*images, tmp_path / "phone.heic"], 64, timed_frames=1)
