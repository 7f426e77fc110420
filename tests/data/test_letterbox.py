from __future__ import annotations

import numpy as np
import pytest

from bakeoff.data.letterbox import GREY, Geometry, Normaliser, letterbox


@pytest.mark.parametrize(
    ("frame_wh", "resized_wh", "left_top"),
    [
        ((640, 640), (640, 640), (0, 0)),
        ((1920, 1080), (640, 360), (0, 140)),
        ((517, 389), (640, 482), (0, 79)),  # 481.5: the ceiling, where rounding to even says 482 too
        ((389, 517), (482, 640), (79, 0)),
        ((1000, 333), (640, 214), (0, 213)),  # 213.12: the ceiling; predict would round to 213
        ((3, 1000), (2, 640), (319, 0)),
        ((1, 5000), (1, 640), (319, 0)),
    ],
)
def test_each_side_takes_the_ceiling_and_lies_in_the_centre(frame_wh, resized_wh, left_top):
    geometry = Geometry.of(frame_wh, 640)
    assert geometry.resized_wh == resized_wh
    assert geometry.left_top == left_top


def test_the_canvas_is_grey_around_the_frame_whatever_was_on_it_before():
    canvas = np.full((64, 64, 3), 7, np.uint8)
    letterbox(np.full((20, 40, 3), 200, np.uint8), canvas)
    assert (canvas[:16] == GREY).all()
    assert (canvas[48:] == GREY).all()
    assert (canvas[16:48] == 200).all()
    letterbox(np.full((40, 20, 3), 100, np.uint8), canvas)
    assert (canvas[:, :16] == GREY).all()
    assert (canvas[:, 48:] == GREY).all()
    assert (canvas[:, 16:48] == 100).all()


@pytest.mark.parametrize("frame_wh", [(640, 480), (333, 1000), (97, 41)])
def test_boxes_come_back_where_they_were(frame_wh):
    rng = np.random.default_rng(0)
    wh = rng.uniform(0.05, 0.4, (50, 2))
    xywhn = np.concatenate((rng.uniform(wh / 2, 1 - wh / 2), wh), 1)
    geometry = Geometry.of(frame_wh, 416)
    back = geometry.to_frame(geometry.to_canvas(xywhn))
    scale = np.array((*frame_wh, *frame_wh))
    expected = np.concatenate((xywhn[:, :2] - wh / 2, xywhn[:, :2] + wh / 2), 1) * scale
    assert back == pytest.approx(expected, abs=1e-3)


def test_delivered_boxes_are_clipped_to_the_frame():
    geometry = Geometry.of((640, 320), 640)
    boxes = geometry.to_frame(np.array([[-10, 150, 700, 500]], np.float32))
    assert boxes.tolist() == [[0, 0, 640, 320]]


def test_network_input_is_rgb_in_planes_from_zero_to_one():
    canvas = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    tensor = np.empty((3, 32, 32), np.float32)
    Normaliser(32)(canvas, tensor)
    assert np.array_equal(tensor, (canvas[..., ::-1].transpose(2, 0, 1) / 255).astype(np.float32))
