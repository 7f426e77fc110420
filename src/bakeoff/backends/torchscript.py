"""TorchScript: the module traced, frozen and saved; runs without Ultralytics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bakeoff.backend import (
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
    version_of,
)
from bakeoff.records import Artifact, Candidate, Host, Model


class TorchScript:
    """One traced and frozen file for each batch size."""

    name = "torchscript"
    title = "TorchScript"

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
                torch.jit.freeze(traced.eval()).save(str(job.folder / f"b{batch}.torchscript"))
        return Artifact.of(
            job.folder, batches=job.batches, converter="torch.jit.trace + freeze", torch=version_of("torch")
        )

    def load(self, job: LoadJob) -> TorchScriptSession:
        """See `Backend.load`."""
        import torch

        tuning_of(job.candidate, numbers=("t",))
        torch.set_num_threads(job.threads)
        check_in_force(job.candidate, {"threads": job.threads}, {"threads": torch.get_num_threads()})
        folder = Path(job.artifact.folder)
        modules = {
            batch: torch.jit.load(str(folder / f"b{batch}.torchscript"), map_location="cpu").eval()
            for batch in job.artifact.batches
        }
        return TorchScriptSession(modules)


class TorchScriptSession(BaseSession):
    """Traced modules by batch size."""

    def __init__(self, modules: Mapping[int, Any]) -> None:
        import torch

        self._torch = torch
        self._modules = modules
        dtypes = {
            str(node.output().type().dtype())
            for module in modules.values()
            for node in module.graph.findAllNodes("prim::Constant")
            if node.output().type().kind() == "TensorType" and node.output().type().dtype() is not None
        }
        floats = {name for name in dtypes if "float" in name}
        super().__init__(
            precision="fp32" if floats <= {"torch.float32", "torch.float64"} else "+".join(sorted(floats)),
            details={"threads": torch.get_num_threads(), "batches": sorted(modules)},
        )

    def run(self, images: Images) -> Outputs:
        """See `Session.run`."""
        with self._torch.inference_mode():
            output = self._modules[len(images)](self._torch.from_numpy(images))
        outputs = output if isinstance(output, (tuple, list)) else (output,)
        return [y.contiguous().numpy() for y in outputs if isinstance(y, self._torch.Tensor)]
