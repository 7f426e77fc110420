"""Implicit INT8 calibration, the classical way of TensorRT 10: its own calibrators, and their cache."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bakeoff.backend import Calibration, Images
from bakeoff.backends.trt.api import Trt


def cache_file(folder: Path, calibration: Calibration, *, model_sha256: str, method: str) -> Path:
    """Return where the ranges for this Model, these images and this method are kept; TensorRT checks its version."""
    digest = hashlib.sha256(f"{model_sha256} {method}".encode())
    for image in calibration:
        digest.update(repr(image.shape).encode())
        digest.update(np.ascontiguousarray(image).data)
    return folder / f"calibration-{digest.hexdigest()[:32]}.cache"


def calibrator(trt: Trt, calibration: Calibration, *, method: str, batch: int, cache: Path | None) -> Any:
    """Return a `trt.IInt8Calibrator`, to be closed after the build.

    Args:
        trt: TensorRT 10.
        calibration: the images; those that don't fill a last batch are left out.
        method: `entropy` or `minmax`.
        batch: that the first profile is tuned for: TensorRT calibrates with it.
        cache: file to read ranges from, or to write them to.
    """
    from bakeoff.backends.trt import cuda

    base = {"entropy": trt.IInt8EntropyCalibrator2, "minmax": trt.IInt8MinMaxCalibrator}[method]

    class _Calibrator(base):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            base.__init__(self)
            self.error: Exception | None = None  # one that leaves a callback would end the process
            self.read_bytes = self.batches = 0
            self._images = batches_of(calibration, batch)
            self._stream: Any = None
            self._there: Any = None

        def get_batch_size(self) -> int:
            return batch

        def get_batch(self, names: list[str]) -> list[int] | None:
            try:
                images = next(self._images, None)
                if images is None:
                    return None
                if self._there is None:
                    self._stream, self._there = cuda.Stream(), cuda.DeviceBuffer(images.nbytes)
                self._there.upload(images, self._stream)
                self._stream.synchronize()
                self.batches += 1
                return [self._there.pointer]
            except Exception as error:
                self.error = error
                return None

        def read_calibration_cache(self) -> bytes | None:
            if cache is None or not cache.exists():
                return None
            content = cache.read_bytes()
            self.read_bytes = len(content)
            return content

        def write_calibration_cache(self, content: Any) -> None:
            if cache is None:
                return
            try:
                cache.parent.mkdir(parents=True, exist_ok=True)
                part = cache.with_suffix(".part")
                part.write_bytes(bytes(content))
                part.replace(cache)
            except OSError as error:
                self.error = error

        def close(self) -> None:
            for resource in (self._there, self._stream):
                if resource is not None:
                    resource.close()

    return _Calibrator()


def batches_of(calibration: Calibration, batch: int) -> Iterator[Images]:
    """Yield the images in batches of this size, contiguous float32; what doesn't fill the last one is left out."""
    waiting: list[Images] = []
    for image in calibration:
        waiting.append(image)
        if len(waiting) == batch:
            yield np.ascontiguousarray(np.concatenate(waiting), dtype=np.float32)
            waiting = []
