from __future__ import annotations

import functools
import http.server
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from bakeoff.data.sources import Grabbed, _Newest, find, frame_rate, frames_of
from bakeoff.errors import InputError
from bakeoff.records import Source


def write_video(path: Path, frames: int, *, rate: float = 12.5) -> Path:
    """Write a video whose frame i is grey of i * 10."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate, (64, 48))
    for i in range(frames):
        writer.write(np.full((48, 64, 3), i * 10 % 250, np.uint8))
    writer.release()
    return path


def write_image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((8, 8, 3), np.uint8))
    return path


def test_a_folder_is_its_images_and_videos_and_nothing_hidden(tmp_path):
    for name in ("b.jpg", "a.png", "below/c.PNG", ".hidden/d.jpg", ".e.jpg"):
        write_image(tmp_path / name)
    write_video(tmp_path / "v.avi", 1)
    (tmp_path / "notes.txt").write_text("no image")
    found = find([str(tmp_path)])
    assert [(Path(one.address).relative_to(tmp_path).as_posix(), one.kind) for one in found] == [
        ("a.png", "image"),
        ("b.jpg", "image"),
        ("below/c.PNG", "image"),
        ("v.avi", "video"),
    ]


def test_a_glob_takes_files_with_frames_alone_and_a_name_that_looks_like_one_is_a_name(tmp_path):
    for name in ("1.jpg", "2.jpg", "[1].jpg"):
        write_image(tmp_path / name)
    (tmp_path / "3.txt").write_text("")
    assert [Path(one.address).name for one in find([str(tmp_path / "[0-9].*")])] == ["1.jpg", "2.jpg"]
    assert [Path(one.address).name for one in find([str(tmp_path / "[1].jpg")])] == ["[1].jpg"]


def test_a_number_is_a_camera_unless_a_file_has_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find(["0"]) == [Source(kind="live", address="0", name="0")]
    write_image(tmp_path / "0" / "a.jpg")
    assert find(["0"]) == [Source(kind="image", address="0/a.jpg", name="0/a.jpg")]


def test_the_password_in_a_url_is_not_shown():
    (source,) = find(["rtsp://user:se@cret@host:554/live?x=1"])
    assert source.address == "rtsp://user:se@cret@host:554/live?x=1"
    assert source.name == "rtsp://host:554/live?x=1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gone.jpg", "gone.jpg does not exist"),
        ("empty", "is a folder without images"),
        ("notes.txt", "neither an image nor a video"),
        ("*.gif", "matches no image"),
    ],
)
def test_what_holds_no_frame_is_named(tmp_path, monkeypatch, text, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(InputError, match=said):
        find([text])


def test_a_video_gives_all_its_frames_in_order_and_its_rate(tmp_path):
    (source,) = find([str(write_video(tmp_path / "v.avi", 7))])
    frames = list(frames_of(source))
    assert [one.index for one in frames] == list(range(7))
    assert [round(float(one.frame.mean()), -1) for one in frames] == [i * 10 for i in range(7)]
    assert all(one.decode_ns is not None and one.dropped == 0 for one in frames)
    assert frame_rate(source) == 12.5


@pytest.mark.parametrize(("share", "said"), [(0.6, "broke off after"), (0.0, "cannot be decoded")])
def test_a_video_that_was_cut_short_says_so(tmp_path, share, said):
    whole = write_video(tmp_path / "v.avi", 20).read_bytes()
    (tmp_path / "v.avi").write_bytes(whole[: int(len(whole) * share)] or b"no video")
    (source,) = find([str(tmp_path / "v.avi")])
    with pytest.raises(InputError, match=said):
        list(frames_of(source))


class Camera:
    """A camera of 100 frames a second that counts in its pixels."""

    def __init__(self, frames: int) -> None:
        self.left, self.count, self.released = frames, 0, False

    def read(self):
        time.sleep(0.01)
        if self.count == self.left:
            return False, None
        self.count += 1
        return True, np.full((2, 2, 3), self.count - 1, np.uint8)

    def release(self) -> None:
        self.released = True


def test_who_predicts_slower_than_a_camera_gets_its_newest_frame_and_never_an_old_one():
    camera = Camera(60)
    newest = _Newest(camera)  # type: ignore[arg-type]
    taken = []
    while (found := newest.take()) is not None:
        index, frame = found
        assert frame[0, 0, 0] == index
        assert camera.count - 1 - index <= 1, "an old frame"
        taken.append(index)
        time.sleep(0.1)
    newest.close()
    assert camera.released
    assert taken == sorted(set(taken))
    assert len(taken) < 20, "frames queued up"


def test_a_stream_drops_what_comes_while_nobody_takes_and_says_when_it_stopped(tmp_path):
    write_video(tmp_path / "v.avi", 30)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (source,) = find([f"http://me:secret@127.0.0.1:{server.server_port}/v.avi"])
        found: list[Grabbed] = []

        def take_slowly() -> None:
            for grabbed in frames_of(source):
                found.append(grabbed)
                time.sleep(0.2)

        with pytest.raises(InputError, match="stopped after") as error:
            take_slowly()
        server.shutdown()
    assert "secret" not in str(error.value)
    assert 0 < len(found) < 30
    assert sum(one.dropped for one in found) + len(found) == found[-1].index + 1
    assert all(one.decode_ns is None for one in found)


def test_a_camera_that_is_not_there_does_not_open():
    with pytest.raises(InputError, match="camera 63 does not open"):
        next(frames_of(Source(kind="live", address="63", name="63")))
