"""PyTorch, eager: the reference, as a user runs the model today."""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
from collections.abc import Sequence
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
from bakeoff.backends import scripts
from bakeoff.records import Artifact, Candidate, Host, Model, Script

CHANNELS_LAST = "channels-last"


class PyTorch:
    """Eager PyTorch; the Artifact is the model file itself."""

    name = "pytorch"
    title = "PyTorch"

    def probe(self) -> str:
        """See `Backend.probe`. The libraries are loaded, the Python package is not: that alone takes 3 s."""
        load_torch_libraries()
        return version_of("torch")

    def unavailable(self, step: Step) -> str | None:
        """See `Backend.unavailable`."""
        return missing("torch", "ultralytics")

    def propose(self, model: Model, host: Host) -> Sequence[Candidate]:
        """See `Backend.propose`. An ONNX file holds no PyTorch module."""
        if model.format == "onnx":
            return []
        plain = Candidate(backend=self.name, precision="fp32", shape="dyn", title=self.title)
        last = Candidate(backend=self.name, precision="fp32", shape="dyn", options=(CHANNELS_LAST,), title=self.title)
        return [plain, last]

    def tunings(self, candidate: Candidate, host: Host, threads: int) -> Sequence[tuple[str, ...]]:
        """See `Tunable.tunings`."""
        return [(f"t{count}",) for count in thread_counts(host, threads)]

    def convert(self, job: ConvertJob) -> Artifact:
        """See `Backend.convert`."""
        source = Path(job.model.model.path)
        shutil.copyfile(source, job.folder / f"model{source.suffix}")
        return Artifact.of(job.folder, converter="none: the model file itself", torch=version_of("torch"))

    def load(self, job: LoadJob) -> PyTorchSession:
        """See `Backend.load`."""
        tuning_of(job.candidate, numbers=("t",))
        module = job.model.torch_module()
        return PyTorchSession(module, job, channels_last=CHANNELS_LAST in job.candidate.options)

    def script(self, candidate: Candidate, artifact: Artifact) -> Script:
        """See `Scripted.script`. A checkpoint holds the network's values alone; its code is Ultralytics'."""
        return scripts.script(
            "pytorch",
            "torch, and ultralytics (AGPL-3.0), whose classes the checkpoint holds",
            FILE=artifact.files[0].path,
            THREADS=candidate.threads or 0,
            CHANNELS_LAST=CHANNELS_LAST in candidate.options,
        )


class PyTorchSession(BaseSession):
    """A module called as it is."""

    def __init__(self, module: Any, job: LoadJob, *, channels_last: bool = False) -> None:
        import torch

        torch.set_num_threads(job.threads)
        check_in_force(job.candidate, {"threads": job.threads}, {"threads": torch.get_num_threads()})
        self._torch = torch
        self._format = torch.channels_last if channels_last else torch.contiguous_format
        self._module = module.to(memory_format=torch.channels_last) if channels_last else module
        tensor = next(iter(module.state_dict().values()), None)
        dtype = torch.float32 if tensor is None else tensor.dtype
        names = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}
        super().__init__(
            device="cpu" if tensor is None else str(tensor.device),
            precision=names.get(dtype, str(dtype)),
            details={"threads": torch.get_num_threads(), "channels_last": channels_last},
        )

    def run(self, images: Images) -> Outputs:
        """See `Session.run`."""
        with self._torch.inference_mode():
            x = self._torch.from_numpy(images).contiguous(memory_format=self._format)
            output = self._module(x)
        outputs = output if isinstance(output, (tuple, list)) else (output,)
        return [y.contiguous().numpy() for y in outputs if isinstance(y, self._torch.Tensor)]


def load_torch_libraries() -> None:
    """Load PyTorch's CPU library without importing the package.

    Raises:
        OSError: it can't be loaded.
    """
    spec = importlib.util.find_spec("torch")
    assert spec is not None
    assert spec.origin is not None
    for library in ("libc10.so", "libtorch_cpu.so"):
        path = Path(spec.origin).parent / "lib" / library
        if path.exists():  # elsewhere than on Linux they are named otherwise; the Session will tell
            ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
