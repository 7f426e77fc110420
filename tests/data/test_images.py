"""Unusual images: decoded byte by byte as Ultralytics' own loader decodes them."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from bakeoff.data.images import decode, list_images
from bakeoff.errors import InputError

os.environ |= {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}
RNG = np.random.default_rng(0)
GREY, COLOUR, ALPHA = (RNG.integers(0, 256, (20, 30, *more), np.uint8) for more in ((), (3,), (4,)))
GREY16, COLOUR16, ALPHA16 = (RNG.integers(0, 65536, (20, 30, *more), np.uint16) for more in ((), (3,), (4,)))
SMOOTH = cv2.resize(COLOUR[:4, :6], (30, 20))


def orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[274] = value
    return exif


def pil(pixels, mode: str | None = None, **options):
    """A writer by Pillow."""
    return lambda path: (Image.fromarray(pixels).convert(mode) if mode else Image.fromarray(pixels)).save(
        path, **options
    )


def opencv(pixels):
    """A writer by OpenCV, which alone writes 16-bit colour."""
    return lambda path: cv2.imwrite(str(path), pixels)


KINDS = {
    "grey.png": pil(GREY),
    "grey.jpg": pil(GREY),
    "grey.tif": pil(GREY),
    "one-bit.png": pil(COLOUR, "1"),
    "grey-alpha.png": pil(np.dstack((GREY, GREY[::-1]))),
    "palette.png": pil(COLOUR, "P"),
    "palette-transparent.png": lambda path: Image.fromarray(COLOUR).quantize(16).save(path, transparency=3),
    "alpha.png": pil(ALPHA),
    "alpha.tif": pil(ALPHA),
    "alpha.webp": pil(ALPHA),
    "16-bit-grey.png": opencv(GREY16),
    "16-bit-grey.tif": opencv(GREY16),
    "16-bit-colour.png": opencv(COLOUR16),
    "16-bit-colour.tif": opencv(COLOUR16),
    "16-bit-colour.TIFF": opencv(COLOUR16),
    "16-bit-alpha.png": opencv(ALPHA16),
    "16-bit-alpha.tif": opencv(ALPHA16),
    "cmyk.jpg": pil(SMOOTH, "CMYK"),
    "cmyk.tif": pil(SMOOTH, "CMYK"),
    "pages.tif": pil(GREY, save_all=True, append_images=[Image.fromarray(GREY[::-1])]),
    "stereo.mpo": pil(SMOOTH, save_all=True, append_images=[Image.fromarray(SMOOTH[::-1])]),
    "jpeg2000.jp2": pil(SMOOTH),
    **{f"exif{i}.jpg": pil(SMOOTH, exif=orientation(i)) for i in range(1, 9)},
    **{f"exif6.{suffix}": pil(SMOOTH, exif=orientation(6)) for suffix in ("png", "tif", "webp")},
}


@pytest.mark.parametrize("name", KINDS)
def test_an_image_is_decoded_as_by_ultralytics_loader(tmp_path, name):
    patches = pytest.importorskip("ultralytics.utils.patches")
    path = tmp_path / name
    KINDS[name](path)
    ours, theirs = decode(path), patches.imread(str(path))
    assert theirs.dtype == ours.dtype == np.uint8
    assert np.array_equal(ours, theirs)
    assert list_images(tmp_path) == [path]


def test_of_16_bits_the_upper_8_are_kept(tmp_path):
    for suffix in ("png", "tif"):
        cv2.imwrite(str(tmp_path / f"c.{suffix}"), COLOUR16)
        assert np.array_equal(decode(tmp_path / f"c.{suffix}"), COLOUR16 >> 8)


def test_an_exif_rotation_is_applied(tmp_path):
    KINDS["exif6.png"](tmp_path / "turned.png")
    assert np.array_equal(decode(tmp_path / "turned.png"), np.rot90(SMOOTH[..., ::-1], -1))


def test_a_floating_point_image_is_refused_by_name(tmp_path):
    path = tmp_path / "depth.tif"
    cv2.imwrite(str(path), COLOUR16.astype(np.float32))
    with pytest.raises(InputError, match=r"depth\.tif has float32 pixels; convert it"):
        decode(path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "bmp"])
@pytest.mark.parametrize("share", [0.5, 0.99])
def test_a_file_cut_short_is_refused_by_name(tmp_path, suffix, share):
    path = tmp_path / f"half.{suffix}"
    cv2.imwrite(str(path), cv2.resize(SMOOTH, (300, 200)))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match=rf"half\.{suffix} cannot be decoded"):
        decode(path)


@pytest.mark.parametrize("suffix", ["avif", "heic", "HEIF"])
def test_a_format_that_is_not_read_is_refused_and_never_passed_over(tmp_path, suffix):
    path = tmp_path / f"phone.{suffix}"
    path.write_bytes(b"any")
    assert list_images(tmp_path) == [path]
    with pytest.raises(InputError, match=rf"phone\.{suffix} is {suffix.upper()}, which bakeoff does not read; convert"):
        decode(path)


def test_the_formats_are_those_of_ultralytics():
    from bakeoff.data.images import SUFFIXES

    utils = pytest.importorskip("ultralytics.data.utils")
    assert {f".{suffix}" for suffix in utils.IMG_FORMATS} == SUFFIXES


def test_images_behind_a_linked_folder_are_found(tmp_path):
    real, data = tmp_path / "real", tmp_path / "data"
    real.mkdir()
    data.mkdir()
    KINDS["grey.png"](real / "a.png")
    (data / "link").symlink_to(real, target_is_directory=True)
    assert list_images(data) == [data / "link" / "a.png"]
    assert isinstance(list_images(data)[0], Path)
