"""Model files: which loader reads one, and the forms in which it hands the Model over."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from bakeoff.data.images import content_hash
from bakeoff.errors import InputError
from bakeoff.records import Model


class ModelFile(Protocol):
    """An opened model file. Lives in a child process: reading a checkpoint imports PyTorch."""

    model: Model

    def torch_module(self) -> Any:
        """Return the network as a fused float32 module in eval mode, images in, head output out."""
        ...

    def export_onnx(self, batch: int | None, opset: int, path: Path) -> None:
        """Write ONNX with a fixed or, for `None`, a dynamic batch size."""
        ...


def open_model(path: Path, *, imgsz: int | None = None, trust: bool = False, inspect: bool = False) -> ModelFile:
    """Read a model file of any known kind.

    Args:
        path: an Ultralytics `.pt` or an `.onnx` file.
        imgsz: input side in pixels; default: the one in the file.
        trust: allow an Ultralytics checkpoint to run whatever code its pickle names.
        inspect: take an ONNX file that is quantised or halved already too, which can be looked at, not converted.

    Raises:
        InputError: missing, empty, not a model, of another task, or a pickle that asks for unlisted classes.
    """
    check_file(path)
    with path.open("rb") as file:
        head = file.read(8)
    if path.suffix.lower() == ".onnx":
        from bakeoff.models.onnx_file import OnnxFile

        return OnnxFile(path, imgsz=imgsz, inspect=inspect)
    if head.startswith((b"PK\x03\x04", b"\x80")) or path.suffix.lower() in (".pt", ".pth"):
        from bakeoff.models.ultralytics import UltralyticsFile

        return UltralyticsFile(path, imgsz=imgsz, trust=trust)
    raise InputError(f"model {path} is neither an Ultralytics checkpoint (.pt) nor an ONNX file (.onnx)")


def check_file(path: Path) -> None:
    """Refuse a path that is no readable, non-empty file.

    Raises:
        InputError: it is not.
    """
    if not path.exists():
        raise InputError(f"model {path} does not exist")
    if not path.is_file():
        raise InputError(f"model {path} is not a file")
    try:
        if path.stat().st_size == 0:
            raise InputError(f"model {path} is empty")
        with path.open("rb"):
            pass
    except OSError as error:
        raise InputError(f"model {path} cannot be read: {error.strerror or error}") from error


def check_imgsz(path: Path, imgsz: int, stride: int) -> None:
    """Refuse an input side that the network can't take.

    Raises:
        InputError: it is no multiple of the stride.
    """
    if imgsz < stride or imgsz % stride:
        near = max(stride, round(imgsz / stride) * stride)
        raise InputError(f"imgsz {imgsz} is no multiple of the stride {stride} of {path.name}; try --imgsz {near}")


def file_facts(path: Path) -> dict[str, Any]:
    """Return the fields of a `Model` that any file has."""
    return {"path": str(path), "sha256": content_hash(path), "size_bytes": path.stat().st_size}
