"""What a TensorRT engine takes and gives, read by its named tensors, and which of its profiles suits some images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Shape = tuple[int, ...]

_DTYPES = {
    "FLOAT": np.float32,
    "HALF": np.float16,
    "INT8": np.int8,
    "UINT8": np.uint8,
    "INT32": np.int32,
    "INT64": np.int64,
    "BOOL": np.bool_,
}


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """An engine's input or output."""

    name: str
    dtype: npt.DTypeLike


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The shapes of images that an optimisation profile takes, and the one that it is made for."""

    index: int
    least: Shape
    best: Shape
    most: Shape

    def takes(self, shape: Shape) -> bool:
        """Whether it can run this shape."""
        return len(shape) == len(self.least) and all(
            low <= side <= high for low, side, high in zip(self.least, shape, self.most, strict=True)
        )


@dataclass(frozen=True, kw_only=True)
class Signature:
    """What an engine takes and gives."""

    images: Tensor
    outputs: tuple[Tensor, ...]
    profiles: tuple[Profile, ...]

    @classmethod
    def of(cls, trt: Any, engine: Any) -> Signature:
        """Read it from an engine.

        Raises:
            ValueError: the engine takes something else than float images, or gives a type that NumPy lacks.
        """
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
        if len(inputs) != 1:
            raise ValueError(f"the engine has the inputs {', '.join(inputs) or '(none)'}; expected images alone")
        images, *outputs = (
            Tensor(name=name, dtype=_dtype(engine, name))
            for name in (*inputs, *(name for name in names if name not in inputs))
        )
        if images.dtype not in (np.float32, np.float16):
            raise ValueError(
                f"input {images.name!r} is {engine.get_tensor_dtype(images.name).name}; expected FLOAT or HALF: "
                "build the engine from a model that takes float images"
            )
        profiles = tuple(_profile(engine, images.name, i) for i in range(max(1, engine.num_optimization_profiles)))
        return cls(images=images, outputs=tuple(outputs), profiles=profiles)

    def profile_for(self, shape: Shape) -> Profile:
        """Return the profile that suits a shape best: made for the nearest batch, then the one that takes the fewest.

        Raises:
            ValueError: none takes it.
        """
        fits = [profile for profile in self.profiles if profile.takes(shape)]
        if not fits:
            taken = "; ".join(f"{list(one.least)} to {list(one.most)}" for one in self.profiles)
            raise ValueError(f"images {list(shape)}: this engine takes {taken}; build one with a profile for them")
        return min(fits, key=lambda one: (abs(one.best[0] - shape[0]), one.most[0] - one.least[0], one.index))


def _dtype(engine: Any, name: str) -> npt.DTypeLike:
    kind = engine.get_tensor_dtype(name).name
    if kind not in _DTYPES:
        raise ValueError(f"tensor {name!r} is {kind}, which NumPy has no type for; build the engine with FLOAT outputs")
    return _DTYPES[kind]


def _profile(engine: Any, name: str, index: int) -> Profile:
    fixed = tuple(engine.get_tensor_shape(name))
    if min(fixed) >= 0:  # without dynamic dimensions there is nothing to ask a profile
        return Profile(index=index, least=fixed, best=fixed, most=fixed)
    least, best, most = (tuple(shape) for shape in engine.get_tensor_profile_shape(name, index))
    return Profile(index=index, least=least, best=best, most=most)


def output_shape(context: Any, name: str) -> Shape:
    """Return the shape of an output, its context knowing that of the images.

    Raises:
        ValueError: it depends on what is in them.
    """
    shape = tuple(context.get_tensor_shape(name))
    if min(shape, default=0) < 0:
        raise ValueError(
            f"output {name!r} has the shape {list(shape)}, which depends on what is in the image; "
            "build the engine from a model with raw outputs, without NMS"
        )
    return shape
