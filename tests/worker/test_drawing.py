from __future__ import annotations

import cv2
import numpy as np
import pytest

from bakeoff.records import Prediction, Source
from bakeoff.worker.drawing import Drawer, draw


def prediction(**fields: object) -> Prediction:
    one = {"xyxy": ((10.0, 20.0, 40.0, 50.0),), "scores": (0.5,), "classes": (0,), "names": ("scratch",)}
    return Prediction(**{"source": "x", "frame": 0, "width": 64, "height": 64, **one, **fields})  # type: ignore[arg-type]


def image(name: str) -> Source:
    return Source(kind="image", address=name, name=name)


def test_a_box_is_drawn_where_it_is():
    frame = np.zeros((64, 64, 3), np.uint8)
    draw(frame, prediction())
    assert frame[35, 10].any()  # left edge
    assert frame[50, 25].any()  # lower edge
    assert not frame[35, 25].any()  # within
    assert not frame[60, 60].any()


@pytest.mark.parametrize("name", ["Kratzer ä", "<script>", "%s %d", "", "x" * 500])
def test_any_class_name_can_be_drawn(name):
    draw(np.zeros((64, 64, 3), np.uint8), prediction(names=(name,), xyxy=((-5.0, -5.0, 900.0, 900.0),)))


def test_images_of_one_name_do_not_replace_each_other(tmp_path):
    drawer = Drawer(tmp_path)
    for folder in ("a", "b"):
        drawer.add(image(f"{folder}/1.png"), np.zeros((64, 64, 3), np.uint8), prediction())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1-2.jpg", "1.jpg"]


def test_a_video_has_as_many_frames_even_where_their_size_changes(tmp_path):
    drawer = Drawer(tmp_path)
    source = Source(kind="live", address="rtsp://u:secret@h/x", name="rtsp://h/x")
    for side in (64, 64, 96):
        drawer.add(source, np.zeros((side, side, 3), np.uint8), prediction())
    drawer.close()
    (path,) = tmp_path.iterdir()
    assert "secret" not in path.name
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 3
