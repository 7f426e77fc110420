"""TorchScript: the module traced, frozen and saved; runs without Ultralytics."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bakeoff.backend import (
    Adopted,
    BaseSession,
    ConvertJob,
    Images,
    LoadJob,
    Outputs,
    Step,
    check_in_force,
    missing,
    thread_counts,
    tuning_of,
    ultralytics_metadata,
    version_of,
)
from bakeoff.backends import elsewhere, scripts
from bakeoff.errors import InputError, one_line
from bakeoff.records import Artifact, Candidate, Host, Model, Script

METADATA = "config.txt"  # the extra file that Ultralytics' loader reads


class TorchScript:
    """One traced and frozen file for each batch size."""

    name = "torchscript"
    title = "TorchScript"
    adopts = "TorchScript files (.torchscript)"

    def probe(self) -> str:
        """See `Backend.probe`; PyTorch's own probe loads the library that both share."""
        return version_of("torch")

    def unavailable(self, step: Step) -> str | None:
        """See `Backend.unavailable`."""
        return missing("torch", "ultralytics")

    def propose(self, model: Model, host: Host) -> Sequence[Candidate]:
        """See `Backend.propose`. An ONNX file holds no PyTorch module."""
        if model.format == "onnx":
            return []
        return [Candidate(backend=self.name, precision="fp32", shape="static", title=self.title)]

    def tunings(self, candidate: Candidate, host: Host, threads: int) -> Sequence[tuple[str, ...]]:
        """See `Tunable.tunings`."""
        return [(f"t{count}",) for count in thread_counts(host, threads)]

    def convert(self, job: ConvertJob) -> Artifact:
        """See `Backend.convert`."""
        import torch

        module = job.model.torch_module()
        imgsz = job.model.model.imgsz
        for batch in job.batches:
            example = torch.zeros(batch, 3, imgsz, imgsz)
            with torch.inference_mode():
                module(example)  # the head computes its anchors on the first call, which a trace must not record
                traced = torch.jit.trace(module, example, strict=False, check_trace=False)
                extra = {METADATA: json.dumps(ultralytics_metadata(job.model.model, batch))}
                torch.jit.freeze(traced.eval()).save(str(job.folder / _file_name(batch)), _extra_files=extra)
        return Artifact.of(
            job.folder, batches=job.batches, converter="torch.jit.trace + freeze", torch=version_of("torch")
        )

    def takes(self, path: Path) -> bool:
        """See `Adopter.takes`."""
        return path.suffix.lower() == ".torchscript"

    def adopt(self, path: Path, model: Model) -> Adopted:
        """See `Adopter.adopt`. The file tells no shapes, so it is run once: what is in it runs."""
        return _adopted(path, model)

    def describe(self, path: Path, imgsz: int | None, class_names: Sequence[str]) -> Model:
        """See `Describer.describe`."""
        return elsewhere.model_of(path, _read(path)[1], imgsz, class_names)

    def load(self, job: LoadJob) -> TorchScriptSession:
        """See `Backend.load`."""
        import torch

        tuning_of(job.candidate, numbers=("t",))
        torch.set_num_threads(job.threads)
        check_in_force(job.candidate, {"threads": job.threads}, {"threads": torch.get_num_threads()})
        folder = Path(job.artifact.folder)
        modules = {
            batch: torch.jit.load(str(folder / _file_name(batch)), map_location="cpu").eval()
            for batch in job.artifact.batches or (None,)
        }
        return TorchScriptSession(modules)

    def script(self, candidate: Candidate, artifact: Artifact) -> Script:
        """See `Scripted.script`."""
        file = _file_name(1 if artifact.batches else None)
        return scripts.script("torchscript", "torch", FILE=file, THREADS=candidate.threads or 0)


class TorchScriptSession(BaseSession):
    """Traced modules by batch size; the one under `None` takes any."""

    def __init__(self, modules: Mapping[int | None, Any]) -> None:
        import torch

        self._torch = torch
        self._modules = modules
        dtypes = {
            str(node.output().type().dtype())
            for module in modules.values()
            for node in module.graph.findAllNodes("prim::Constant")
            if node.output().type().kind() == "TensorType" and node.output().type().dtype() is not None
        }
        dtypes |= {str(weight.dtype) for module in modules.values() for weight in module.parameters()}
        floats = {name for name in dtypes if "float" in name}
        super().__init__(
            precision="fp32" if floats <= {"torch.float32", "torch.float64"} else "+".join(sorted(floats)),
            details={
                "threads": torch.get_num_threads(),
                "batches": sorted(batch for batch in modules if batch is not None),
            },
        )

    def run(self, images: Images) -> Outputs:
        """See `Session.run`."""
        with self._torch.inference_mode():
            module = self._modules.get(len(images)) or self._modules[None]
            output = module(self._torch.from_numpy(images))
        outputs = output if isinstance(output, (tuple, list)) else (output,)
        return [y.contiguous().numpy() for y in outputs if isinstance(y, self._torch.Tensor)]


def _read(path: Path) -> tuple[Any, dict[str, Any]]:
    """Return a TorchScript file's module and its metadata.

    Raises:
        InputError: it is broken.
    """
    import torch

    extra = {METADATA: ""}
    try:
        module = torch.jit.load(str(path), map_location="cpu", _extra_files=extra).eval()
    except Exception as error:  # torch.jit.load fails in as many ways as there are broken files
        raise InputError(f"artifact {path} is damaged or no TorchScript file: {one_line(error, 160)}") from error
    try:
        metadata = json.loads(extra[METADATA] or "{}")
    except ValueError as error:
        raise InputError(f"artifact {path}: its {METADATA} is no JSON: {one_line(error, 120)}") from error
    return module, metadata if isinstance(metadata, dict) else {}


def _adopted(path: Path, model: Model) -> Adopted:
    """Read a TorchScript file made elsewhere, and try it with one image and with two.

    Raises:
        InputError: it is broken, or not for the Model.
    """
    module, metadata = _read(path)
    kept = elsewhere.check_metadata(path, metadata, model)
    half = sorted({str(weight.dtype) for weight in module.parameters()} - {"torch.float32", "torch.float64"})
    if half:
        raise InputError(f"artifact {path} has {', '.join(half)} weights; make it with float32 ones")
    try:
        one = _outputs_shape(module, 1, model.imgsz)
    except Exception as error:
        shown = f"{model.imgsz}x{model.imgsz}"
        raise InputError(f"artifact {path} takes no image of {shown}: {one_line(error, 160)}") from error
    try:
        free = _outputs_shape(module, 2, model.imgsz)[0] == 2
    except Exception:  # it was traced for one image
        free = False
    batch = None if free else 1
    shape = elsewhere.check_images(path, model, (batch, 3, model.imgsz, model.imgsz))
    elsewhere.check_head(path, model, one)
    files = {_file_name(batch): path}
    return Adopted(precision="fp32", shape=shape, files=files, batches=() if free else (1,), how={"metadata": kept})


def _outputs_shape(module: Any, batch: int, imgsz: int) -> list[int]:
    import torch

    with torch.inference_mode():
        output = module(torch.zeros(batch, 3, imgsz, imgsz))
    first = output[0] if isinstance(output, (tuple, list)) else output
    return list(first.shape)


def _file_name(batch: int | None) -> str:
    return "dynamic.torchscript" if batch is None else f"b{batch}.torchscript"
