"""The generator: what it draws, what it labels, and that it does so again."""

import cv2
import numpy as np
import pytest
from boardgen import CLASSES, SIZES, Look, Scene, render
from boardgen.defects import ADDS, count_pieces
from boardgen.layout import SCALE
from boardgen.scene import FEWEST, MOST
from generate import SEED, make, write_split

SCENES = 10


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [render((77, index), Look()) for index in range(SCENES)]


def test_an_image_has_2_to_12_defects(scenes):
    assert (FEWEST, MOST) == (2, 12)
    for scene in scenes:
        assert 2 <= len(scene.classes) <= 12
        assert scene.boxes.shape == (len(scene.classes), 4)


def test_every_class_is_drawn(scenes):
    assert {kind for scene in scenes for kind in scene.classes} == set(range(len(CLASSES)))


def test_sizes_are_known_and_not_square(scenes):
    assert all(width != height for width, height in SIZES)
    for scene in scenes:
        height, width, channels = scene.image.shape
        assert (width, height) in SIZES
        assert channels == 3
        assert scene.image.dtype == np.uint8


def test_one_size_letterboxes_to_a_fraction():
    assert any((384 * min(size) / max(size)) % 1 for size in SIZES)


def test_boxes_lie_inside_the_image_and_are_no_smaller_than_8_pixels(scenes):
    for scene in scenes:
        height, width = scene.image.shape[:2]
        x0, y0, x1, y1 = scene.boxes.T
        assert (x0 >= 0).all()
        assert (y0 >= 0).all()
        assert (x1 <= width).all()
        assert (y1 <= height).all()
        assert (x1 - x0 >= 8 - 1e-9).all()
        assert (y1 - y0 >= 8 - 1e-9).all()


def test_boxes_are_tight_around_the_changed_copper(scenes):
    for scene in scenes:
        for k, box in enumerate(scene.boxes, 1):
            rows, columns = np.nonzero(scene.labels == k)
            drawn = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / SCALE
            slack = np.concatenate([drawn[:2] - box[:2], box[2:] - drawn[2:]])
            assert (slack >= -1e-9).all()
            side = (drawn[2:] - drawn[:2]).min()
            assert slack.max() <= max(2.0, (8 - side) / 2) + 1e-9


def test_the_copper_changed_only_where_a_defect_is_labelled(scenes):
    for scene in scenes:
        assert np.array_equal(scene.clean != scene.copper, scene.labels > 0)


def test_labels_match_what_the_defect_did_to_the_copper(scenes):
    extra_pieces = {"open": 1, "short": -1, "mouse-bite": 0, "spur": 0, "spurious-copper": 1, "pin-hole": 0}
    for scene in scenes:
        height, width = scene.clean.shape
        for k, kind in enumerate(scene.classes, 1):
            changed = scene.labels == k
            assert (scene.copper[changed] > 0).all() == ADDS[kind]
            rows, columns = np.nonzero(changed)
            y, x, reach = int(rows.mean()), int(columns.mean()), 26 * SCALE
            view = np.s_[max(0, y - reach) : min(height, y + reach), max(0, x - reach) : min(width, x + reach)]
            before = scene.clean[view]
            after = np.where(changed[view], scene.copper[view], before)
            if CLASSES[kind] in ("open", "short"):
                continue  # a window may hold the way round; its ends are checked below
            assert count_pieces(after) - count_pieces(before) == extra_pieces[CLASSES[kind]], (CLASSES[kind], k)
            if CLASSES[kind] == "pin-hole":
                assert count_pieces(~after) == count_pieces(~before) + 1


def test_an_open_and_a_short_each_touch_what_they_part_or_join_on_two_sides(scenes):
    for scene in scenes:
        for k, kind in enumerate(scene.classes, 1):
            if CLASSES[kind] not in ("open", "short"):
                continue
            changed = (scene.labels == k).astype(np.uint8) * 255
            rim = cv2.dilate(changed, np.ones((3, 3), np.uint8)) & ~changed
            assert count_pieces(rim & scene.copper) >= 2


def test_the_same_seed_gives_the_same_bytes():
    look = Look()
    assert make("val", SEED, 3, look) == make("val", SEED, 3, look)


@pytest.mark.parametrize("other", [("val", SEED, 4), ("train", SEED, 3), ("val", SEED + 1, 3)])
def test_another_seed_split_or_index_gives_another_image(other):
    assert make("val", SEED, 3)[0] != make(*other)[0]


def test_a_written_split_is_what_make_gives(tmp_path):
    size = write_split(tmp_path, "val", 2, SEED)
    for index in range(2):
        data, text = make("val", SEED, index)
        assert (tmp_path / "images" / "val" / f"val-{index:04d}.jpg").read_bytes() == data
        assert (tmp_path / "labels" / "val" / f"val-{index:04d}.txt").read_text(encoding="utf-8") == text
        size -= len(data)
    assert size == 0
