# SPDX-License-Identifier: AGPL-3.0-only
"""Turn masks into a picture as an inspection camera would take it: colour, relief, light, dust, blur and grain.

Masks arrive as float32 coverages of shape (height, width) in 0..1; images are float32 of shape (height, width, 3),
BGR, 0..255.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

# Solder masks as (name's share, bare mask, mask over copper), BGR.
_MASKS = (
    (0.58, (42, 78, 20), (74, 140, 52)),
    (0.16, (104, 58, 20), (160, 104, 44)),
    (0.12, (30, 26, 96), (52, 50, 164)),
    (0.14, (40, 38, 36), (78, 76, 70)),
)
_FINISHES = ((86, 178, 214), (110, 186, 226), (196, 202, 204))
_LAMINATE = np.array((96, 132, 146), np.float32)
_SILK = np.array((224, 230, 230), np.float32)
_DRILL = np.array((22, 22, 24), np.float32)


@dataclass(frozen=True)
class Look:
    """How hard the pictures are.

    contrast: copper against bare mask, 1 is the palette's own. grain: sensor noise, grey levels (standard deviation).
    blur: Gaussian, pixels (standard deviation). size: of the defects, 1 is normal. dust: mean specks per image.
    """

    contrast: float = 1.0
    grain: float = 4.0
    blur: float = 0.8
    size: float = 1.1
    dust: float = 4.0


def smooth_noise(rng: np.random.Generator, height: int, width: int, cells: int) -> np.ndarray:
    """Smooth noise of shape (height, width), about -1..1, with `cells` bumps along the longer side."""
    step = max(height, width) / cells
    small = rng.uniform(-1, 1, (int(height / step) + 3, int(width / step) + 3)).astype(np.float32)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def paint(rng: np.random.Generator, masks: dict[str, np.ndarray], look: Look) -> np.ndarray:
    """Colour the board from the coverages `copper`, `opening`, `pads`, `holes` and `silk`."""
    copper, height, width = masks["copper"], *masks["copper"].shape
    share = np.array([entry[0] for entry in _MASKS])
    _, bare, over = _MASKS[int(rng.choice(len(_MASKS), p=share / share.sum()))]
    bare_colour = np.array(bare, np.float32) * rng.uniform(0.85, 1.15) + rng.uniform(-6, 6, 3).astype(np.float32)
    step = (np.array(over, np.float32) - np.array(bare, np.float32)) * look.contrast * rng.uniform(0.75, 1.15)
    finish = np.array(_FINISHES[int(rng.choice(3, p=(0.5, 0.25, 0.25)))], np.float32) * rng.uniform(0.85, 1.05)

    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    pitch, turn = rng.uniform(5, 8), rng.uniform(0, 0.3)
    weave = np.sin(2 * np.pi * (columns + turn * rows) / pitch) * np.sin(2 * np.pi * (rows - turn * columns) / pitch)
    cloud = smooth_noise(rng, height, width, 9)
    laminate = 1 + rng.uniform(0.01, 0.04) * weave + 0.04 * cloud
    image = bare_colour * laminate[..., None] + step * _over(copper, 1 + 0.05 * smooth_noise(rng, height, width, 60))
    image = _blend(image, _LAMINATE * laminate[..., None], masks["opening"])
    metal = 1 + 0.10 * smooth_noise(rng, height, width, 40) + 0.05 * rng.standard_normal((height, width))
    image = _blend(image, finish * metal.astype(np.float32)[..., None], masks["pads"])

    angle = rng.uniform(0, 2 * np.pi)
    relief = cv2.GaussianBlur(copper, (0, 0), 0.8)
    slope = np.cos(angle) * cv2.Sobel(relief, cv2.CV_32F, 1, 0) + np.sin(angle) * cv2.Sobel(relief, cv2.CV_32F, 0, 1)
    image = image * (1 + rng.uniform(0.03, 0.07) * slope)[..., None]
    image = _blend(image, _DRILL, masks["holes"])
    wear = np.clip(0.86 + 0.25 * smooth_noise(rng, height, width, 50), 0.3, 0.95)
    return _blend(image, _SILK, masks["silk"] * wear)


def photograph(rng: np.random.Generator, image: np.ndarray, look: Look) -> np.ndarray:
    """Uneven light, dust, blur and grain; returns uint8 of shape (height, width, 3), BGR."""
    height, width = image.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    x, y = columns / width - 0.5, rows / height - 0.5
    angle, spot = rng.uniform(0, 2 * np.pi), rng.uniform(-0.4, 0.4, 2)
    light = 1 + rng.uniform(0.05, 0.3) * (np.cos(angle) * x + np.sin(angle) * y) * 2
    light += rng.uniform(0.05, 0.3) * np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / rng.uniform(0.05, 0.3))
    light *= (1 - rng.uniform(0.1, 0.4) * (x * x + y * y)) * rng.uniform(0.85, 1.2)
    tint = 1 + rng.uniform(-0.05, 0.05, 3)
    image = (image * light[..., None] * tint).astype(np.float32)
    for _ in range(int(rng.poisson(look.dust))):
        _speck(rng, image)
    image = cv2.GaussianBlur(image, (0, 0), max(0.3, look.blur * rng.uniform(0.7, 1.35)))
    level = look.grain * rng.uniform(0.6, 1.4)
    grain = rng.standard_normal((height, width, 1)) * level + rng.standard_normal((height, width, 3)) * 0.35 * level
    grain = cv2.GaussianBlur(grain.astype(np.float32), (0, 0), 0.5) * 1.5
    return np.clip(np.rint(image + grain), 0, 255).astype(np.uint8)


def _speck(rng: np.random.Generator, image: np.ndarray) -> None:
    """Lay a fibre or a grain of dust on the image, in place; it is no defect."""
    height, width = image.shape[:2]
    centre = rng.uniform(0, (width, height))
    veil = np.zeros((height, width), np.uint8)
    if rng.random() < 0.5:
        turn, bend = rng.uniform(0, 2 * np.pi), rng.uniform(-0.12, 0.12)
        steps = np.arange(int(rng.integers(8, 22)))
        heading = turn + bend * steps
        path = centre + np.cumsum(np.stack([np.cos(heading), np.sin(heading)], axis=1), axis=0)
        cv2.polylines(veil, [np.round(path * 8).astype(np.int32)], False, 255, 1, cv2.LINE_AA, 3)
    else:
        axes = tuple(int(v) for v in rng.uniform(8, 22, 2))
        cv2.ellipse(veil, tuple(int(v * 8) for v in centre), axes, 0, 0, 360, 255, -1, cv2.LINE_AA, 3)
    grey = float(rng.choice((200.0, 40.0), p=(0.7, 0.3)))
    image[:] = _blend(image, np.float32(grey), veil.astype(np.float32) * (rng.uniform(0.35, 0.8) / 255))


def _over(coverage: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Coverage times a gain, both of shape (height, width), with a channel axis added."""
    return (coverage * gain)[..., None]


def _blend(image: np.ndarray, colour: np.ndarray, coverage: np.ndarray) -> np.ndarray:
    """Lay `colour` over `image` where `coverage` (height, width; 0..1) says."""
    return (image + (colour - image) * coverage[..., None]).astype(np.float32)
