"""ONNX Runtime on the CPU."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bakeoff.backend import BaseSession, ConvertJob, Images, LoadJob, Outputs, Step, missing, version_of
from bakeoff.records import Artifact, Candidate, Host, Model


class OnnxRuntime:
    """One ONNX file for each batch size, or one with a dynamic batch."""

    name = "onnxruntime"
    title = "ONNX Runtime"

    def probe(self) -> str:
        """See `Backend.probe`."""
        import onnxruntime

        if "CPUExecutionProvider" not in onnxruntime.get_available_providers():
            raise RuntimeError("this build of onnxruntime has no CPU execution provider")
        return str(onnxruntime.__version__)

    def unavailable(self, step: Step) -> str | None:
        """See `Backend.unavailable`."""
        if step is Step.CONVERT and (reason := missing("onnx", "onnx")):
            return reason
        return missing("onnxruntime", "onnx")

    def propose(self, model: Model, host: Host) -> Sequence[Candidate]:
        """See `Backend.propose`. A file with a fixed batch can't be given another."""
        shapes = ["static", "b1", "dyn"] if model.fixed_batch is None else [f"b{model.fixed_batch}"]
        return [Candidate(backend=self.name, precision="fp32", shape=s, title=self.title) for s in shapes]

    def convert(self, job: ConvertJob) -> Artifact:
        """See `Backend.convert`. The exported ONNX is the Artifact."""
        shape = job.candidate.shape
        batches = {"static": job.batches, "dyn": (None,)}.get(shape, (int(shape[1:]) if shape[1:].isdigit() else 1,))
        sources = {batch: job.model.onnx(batch) for batch in batches}
        for batch, source in sources.items():
            shutil.copyfile(source, job.folder / _file_name(batch))
        return Artifact.of(
            job.folder,
            batches=[batch for batch in batches if batch is not None],
            converter="ONNX export",
            onnx=version_of("onnx"),
        )

    def load(self, job: LoadJob) -> OnnxRuntimeSession:
        """See `Backend.load`."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = job.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        folder = Path(job.artifact.folder)
        sessions = {
            batch: onnxruntime.InferenceSession(
                str(folder / _file_name(batch)), options, providers=["CPUExecutionProvider"]
            )
            for batch in (job.artifact.batches or (None,))
        }
        return OnnxRuntimeSession(sessions, job.threads)


class OnnxRuntimeSession(BaseSession):
    """InferenceSessions by batch size; the one under `None` takes any."""

    def __init__(self, sessions: Mapping[int | None, Any], threads: int) -> None:
        self._sessions = sessions
        first = next(iter(sessions.values()))
        self._input = first.get_inputs()[0].name
        providers = first.get_providers()
        dtype = first.get_inputs()[0].type
        super().__init__(
            device="cpu" if providers == ["CPUExecutionProvider"] else ",".join(providers),
            precision={"tensor(float)": "fp32", "tensor(float16)": "fp16"}.get(dtype, dtype),
            details={"threads": threads, "providers": providers},
        )

    def run(self, images: Images) -> Outputs:
        """See `Session.run`."""
        session = self._sessions.get(len(images)) or self._sessions[None]
        outputs: Outputs = session.run(None, {self._input: images})
        return outputs


def _file_name(batch: int | None) -> str:
    return "dynamic.onnx" if batch is None else f"b{batch}.onnx"
