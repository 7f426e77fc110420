"""Entry points to Backends; listing them imports nothing but the entry points' own text."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from bakeoff.backend import Backend
from bakeoff.errors import InputError, nearest, one_line

GROUP = "bakeoff.backends"


def names() -> list[str]:
    """Return the names of all registered backends, built-in ones first in the order of `pyproject.toml`.

    Raises:
        InputError: two packages register the same name.
    """
    return list(_points())


def load(name: str) -> Backend:
    """Import and construct one backend.

    Raises:
        InputError: there is none of that name, or its module can't be imported.
    """
    points = _points()
    if name not in points:
        raise InputError(f"backend {name!r} not found{nearest(name, points)} see bakeoff backends")
    try:
        backend: Backend = points[name].load()()
    except Exception as error:
        raise InputError(f"backend {name!r} cannot be imported: {type(error).__name__}: {one_line(error)}") from error
    return backend


def _points() -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        known = found.get(point.name)
        if known is not None and known.value != point.value:
            raise InputError(
                f"backend name {point.name!r} is registered twice, by {known.value} and {point.value}; remove one"
            )
        found.setdefault(point.name, point)
    order = ("pytorch", "torchscript", "onnxruntime", "openvino", "tensorrt", "tensorrt_rtx")
    built_in = {name: found.pop(name) for name in order if name in found}
    return {**built_in, **dict(sorted(found.items()))}
