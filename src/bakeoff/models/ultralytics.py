"""Ultralytics checkpoints (YOLOv8, YOLO11), read without running code of theirs.

A `.pt` file is a pickle, and a pickle can call anything. Here it is read by PyTorch's restricted unpickler, which
knows only the classes on a list: network modules of `torch.nn.modules`, `ultralytics.nn.modules` and
`ultralytics.nn.tasks`. Even those are not constructed (a constructor may read files or load weights): the list holds
stand-ins that make an empty object of the class, whose attributes the pickle then fills in.

This module imports Ultralytics (AGPL-3.0), inside functions, in a child process: it is an optional loader.
"""

from __future__ import annotations

import importlib
import os
import secrets
import tempfile
import warnings
from pathlib import Path
from typing import Any

from bakeoff.errors import InputError, one_line
from bakeoff.models import check_imgsz, file_facts
from bakeoff.models.onnx_file import describe
from bakeoff.records import Model

ALLOWED_MODULES = ("torch.nn.modules.", "ultralytics.nn.modules.", "ultralytics.nn.tasks.")


class UltralyticsFile:
    """A detection checkpoint."""

    def __init__(self, path: Path, *, imgsz: int | None = None, trust: bool = False) -> None:
        checkpoint = _load(path, trust)
        network = (checkpoint.get("ema") or checkpoint.get("model")) if isinstance(checkpoint, dict) else None
        names = getattr(network, "names", None)
        if network is None or not hasattr(network, "fuse") or not names:
            raise InputError(f"model {path} is no Ultralytics detection checkpoint: it holds no network with names")
        task = str(getattr(network, "task", "detect"))
        head = network.model[-1]
        if task != "detect" or type(head).__name__ != "Detect":
            raise InputError(f"model {path} is for task {task!r} with a {type(head).__name__} head; only detect so far")
        if getattr(head, "one2one_cv2", None) is not None:
            raise InputError(f"model {path} has an end-to-end head (YOLOv10, YOLO26), which bakeoff can't decode yet")
        args = checkpoint.get("train_args") or getattr(network, "args", None) or {}
        trained = args.get("imgsz", 640) if isinstance(args, dict) else 640
        trained = max(trained) if isinstance(trained, (list, tuple)) else int(trained)
        stride = int(max(float(s) for s in network.stride))
        size = imgsz or trained
        check_imgsz(path, size, stride)
        names = dict(enumerate(names)) if isinstance(names, (list, tuple)) else names
        self._network = network
        self._module: Any = None
        self.model = Model(
            **file_facts(path),
            format="ultralytics",
            task="detect",
            class_names=tuple(str(names[i]) for i in sorted(names)),
            stride=stride,
            imgsz=size,
            trusted=trust,
            origin={
                key: one_line(str(checkpoint[key]), 80) for key in ("version", "date", "license") if checkpoint.get(key)
            },
        )

    def torch_module(self) -> Any:
        """See `ModelFile.torch_module`."""
        import torch

        if self._module is None:
            network = self._network.float()
            for module in network.modules():
                if hasattr(module, "inplace"):
                    module.inplace = True
                elif isinstance(module, torch.nn.Upsample) and not hasattr(module, "recompute_scale_factor"):
                    module.recompute_scale_factor = None  # saved before torch 1.11
            network = network.fuse(verbose=False).eval().requires_grad_(False)
            network.model[-1].export = True  # one tensor, not the training outputs beside it
            self._module = network
        return self._module

    def export_onnx(self, batch: int | None, opset: int, path: Path) -> None:
        """See `ModelFile.export_onnx`.

        The TorchScript-based exporter: 0.6 s and no extra package, against 8 s and onnxscript for the newer one, with
        the same figures (docs/decisions/0004-onnx-export.md).
        """
        import onnx
        import torch

        module = self.torch_module()
        size = self.model.imgsz
        example = torch.zeros(batch or 2, 3, size, size)
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module(example)
            torch.onnx.export(
                module,
                (example,),
                str(path),
                opset_version=opset,
                input_names=["images"],
                output_names=["output0"],
                dynamic_axes=None if batch else {"images": {0: "batch"}, "output0": {0: "batch"}},
                dynamo=False,
            )
        document = onnx.load(str(path))
        describe(document, self.model, batch)
        onnx.save(document, str(path))


def _load(path: Path, trust: bool) -> Any:
    try:
        import torch
    except ImportError as error:
        raise InputError(f"{path.name} needs PyTorch and Ultralytics; pip install 'bakeoff[ultralytics]'") from error
    _quiet()
    try:
        if trust:
            importlib.import_module("ultralytics.nn.tasks")
            return torch.load(path, map_location="cpu", weights_only=False)
        wanted = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
        refused = [name for name in wanted if not name.startswith(ALLOWED_MODULES)]
        if refused:
            raise _refusal(path, refused)
        with torch.serialization.safe_globals(_stand_ins(path, wanted)):
            return torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except ImportError as error:
        raise InputError(f"{path.name} needs Ultralytics to be read; pip install 'bakeoff[ultralytics]'") from error
    except Exception as error:  # torch.load fails in as many ways as there are broken files
        if not trust and "weights_only" in str(error):
            first = str(error).split("\n")
            cause = next((line for line in first if "Unsupported" in line or "Trying to" in line), first[0])
            raise InputError(
                f"model {path} was refused by the restricted unpickler: {one_line(cause, 160)}; {_TRUST}"
            ) from error
        raise InputError(
            f"model {path} is damaged or no checkpoint: {type(error).__name__}: {one_line(error, 160)}"
        ) from error


_TRUST = "--trust reads it by plain unpickling, which runs any code that the file holds: only for files you made"


def _refusal(path: Path, names: list[str]) -> InputError:
    shown = ", ".join(one_line(name, 80) for name in names[:5]) + (", …" if len(names) > 5 else "")
    return InputError(f"model {path} asks for classes that are not on the list: {shown}; {_TRUST}")


def _stand_ins(path: Path, wanted: list[str]) -> list[tuple[Any, str]]:
    """Return what the restricted unpickler may use for each name that the file asks for.

    The class itself is listed too, since the unpickler fills in the attributes of listed classes only, but under a
    name that no file can know.
    """
    import torch

    allowed: list[tuple[Any, str]] = []
    refused = []
    for full_name in wanted:
        module_name, _, name = full_name.rpartition(".")
        try:
            cls = getattr(importlib.import_module(module_name), name, None)
        except ImportError as error:
            if (error.name or "").partition(".")[0] == "ultralytics" and "." not in (error.name or ""):
                raise
            cls = None
        # by its own module too: what a listed module merely imported is not on the list
        if not (
            isinstance(cls, type)
            and issubclass(cls, torch.nn.Module)
            and f"{cls.__module__}.".startswith(ALLOWED_MODULES)
        ):
            refused.append(full_name)
            continue
        allowed += [(_stand_in(cls), full_name), (cls, f"bakeoff.{secrets.token_hex(16)}")]
    if refused:
        raise _refusal(path, refused)
    return allowed


def _stand_in(cls: type) -> type:
    def empty(_: type) -> Any:
        return object.__new__(cls)

    return type(cls.__name__, (), {"__new__": empty})


def _quiet() -> None:
    """Keep Ultralytics from the network, from installing, and from writing settings into the home folder."""
    os.environ.setdefault("YOLO_OFFLINE", "true")
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    os.environ.setdefault("YOLO_VERBOSE", "false")
    if "YOLO_CONFIG_DIR" not in os.environ:  # a worker's child has one that is removed with it
        os.environ["YOLO_CONFIG_DIR"] = tempfile.mkdtemp(prefix="bakeoff-")
