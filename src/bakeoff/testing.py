"""For tests: a clock that is told the time, a backend without a runtime, and the suite that any backend must pass.

    from bakeoff.testing import check_backend

    def test_my_backend_keeps_the_protocol(tmp_path):
        assert check_backend(MyBackend(), "model.onnx", folder=tmp_path) == []

A backend of your own, its entry point included, is described in docs/write-a-backend.md.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import numpy.typing as npt

from bakeoff import host, models
from bakeoff.backend import (
    Backend,
    BaseSession,
    ConvertJob,
    Images,
    LoadJob,
    Outputs,
    Session,
    Shapable,
    Step,
    Tunable,
    device_for,
)
from bakeoff.backend import check_candidates as _check_keys
from bakeoff.errors import one_line
from bakeoff.records import MIXED, Artifact, Candidate, Host, Model

STRIDES = (8, 16, 32)
RUNTIMES = ("torch", "ultralytics", "onnx", "onnxruntime", "openvino", "nncf", "tensorrt", "tensorflow", "ncnn", "MNN")
BATCHES = (1, 2, 3)  # of them, a Candidate is tried with those that it takes
THREADS = 1  # of a Session whose settings say nothing else
UNKNOWN = "no-such-setting"
RTOL, ATOL = 1e-3, 1e-2  # the same image twice: threads may add in another order; boxes are in pixels


class FakeClock:
    """A clock in nanoseconds that moves only when told to, and by `tick_ns` at each reading."""

    def __init__(self, now_ns: int = 0, tick_ns: int = 0) -> None:
        self.now_ns = now_ns
        self.tick_ns = tick_ns

    def __call__(self) -> int:
        """Return the time, then move on by one tick."""
        now = self.now_ns
        self.now_ns += self.tick_ns
        return now

    def advance(self, ms: float) -> None:
        """Let some milliseconds pass."""
        self.now_ns += round(ms * 1e6)


class FakeBackend:
    """A whole Backend that needs nothing but NumPy; takes any Model. Subclass it to break one thing."""

    name = "fake"
    title = "Fake"
    sleep_ms = 0.0  # of each `run`

    def probe(self) -> str:
        """See `Backend.probe`."""
        return "1.0"

    def unavailable(self, step: Step) -> str | None:
        """See `Backend.unavailable`."""
        return None

    def propose(self, model: Model, host: Host) -> Sequence[Candidate]:
        """See `Backend.propose`."""
        return [Candidate(backend=self.name, precision="fp32", shape="dyn", title=self.title)]

    def convert(self, job: ConvertJob) -> Artifact:
        """See `Backend.convert`: one small file."""
        model = job.model.model
        content = {"key": job.candidate.key, "classes": len(model.class_names), "imgsz": model.imgsz}
        (job.folder / "fake.json").write_text(json.dumps(content))
        return Artifact.of(job.folder, converter="none: a fake")

    def load(self, job: LoadJob) -> FakeSession:
        """See `Backend.load`."""
        content = json.loads((Path(job.artifact.folder) / "fake.json").read_text())
        return FakeSession(content["classes"], job.candidate.precision, self.sleep_ms)


class FakeSession(BaseSession):
    """Outputs that follow from the pixels at the anchors alone; boxes of two cells, scores from the colours."""

    def __init__(self, classes: int, precision: str = "fp32", sleep_ms: float = 0.0) -> None:
        super().__init__(device="cpu", precision=precision, details={"threads": 1})
        self._classes = classes
        self._sleep_s = sleep_ms * 1e-3

    def run(self, images: Images) -> Outputs:
        """Return one output (batch, 4 + classes, anchors)."""
        if self._sleep_s:
            time.sleep(self._sleep_s)
        parts = []
        for stride in STRIDES:
            pixels = images[:, :, stride // 2 :: stride, stride // 2 :: stride]
            batch, _, rows, columns = pixels.shape
            y, x = np.mgrid[:rows, :columns].astype(np.float32).reshape(2, -1)
            part = np.empty((batch, 4 + self._classes, rows * columns), np.float32)
            part[:, 0], part[:, 1] = (x + 0.5) * stride, (y + 0.5) * stride
            flat = pixels.reshape(batch, 3, -1)
            part[:, 2:4] = 2 * stride + flat[:, :2] / 100  # boxes, too, depend on the image
            for index in range(self._classes):
                colour = flat[:, index % 3] - flat[:, (index + 1) % 3] / 2 - flat[:, (index + 2) % 3] / 2
                part[:, 4 + index] = 1 / (1 + np.exp(5 - 10 * colour))
            parts.append(part)
        return [np.concatenate(parts, 2)]


def check_backend(
    backend: Backend,
    model_path: str | os.PathLike[str],
    *,
    folder: Path,
    images: Images | None = None,
    imgsz: int | None = None,
    only: str = "*",
) -> list[str]:
    """Put a backend through all that bakeoff relies on, in this process, and return what it does wrong.

    Args:
        backend: an instance, made as bakeoff makes it: without arguments.
        model_path: an Ultralytics `.pt` or an `.onnx` file that the backend can take.
        folder: an empty folder to work in.
        images: at least three different images (n, 3, imgsz, imgsz), float32 in 0..1; default: made up. INT8
            Candidates are calibrated with them too.
        imgsz: input side; a small one makes the checks fast. Default: the model's own.
        only: fnmatch pattern of the Candidates to check; mixed ones, which need a Recipe, are left out.

    Returns:
        Problems in words, the Candidate's key before each; empty where all is well.

    Raises:
        InputError: the model file is bad.
    """
    problems = _check_names(backend) + _check_import(backend)
    reasons = {step: backend.unavailable(step) for step in Step}
    for step, reason in reasons.items():
        if reason is not None and not (isinstance(reason, str) and len(reason.split()) > 2):
            problems.append(f"unavailable({step}) says {reason!r}; expected None, or the reason and the cure in words")
    if any(reason is not None for reason in reasons.values()):
        return [*problems, f"nothing more can be checked here: {next(r for r in reasons.values() if r)}"]
    version = backend.probe()
    if not (isinstance(version, str) and version):
        problems.append(f"probe() returns {version!r}; expected the runtime's version")
    forms = _Forms(models.open_model(Path(model_path), imgsz=imgsz), folder / "forms")
    candidates = list(backend.propose(forms.model, host.describe()))
    if not candidates:
        return [*problems, f"proposes nothing for {model_path}; give a model that it takes"]
    try:
        _check_keys(backend.name, candidates)
    except ValueError as error:
        return [*problems, str(error)]
    try:
        candidates += _other_shapes(backend, candidates, forms.model)
    except ValueError as error:
        return [*problems, str(error)]
    side = forms.model.imgsz
    if images is None:
        images = np.random.default_rng(0).random((4, 3, side, side), np.float32)
    for candidate in candidates:
        if candidate.matches(only) and candidate.precision != MIXED:
            found: list[str] = []
            try:
                _check_candidate(backend, candidate, forms, images, folder / "artifacts" / candidate.slug, found)
            except Exception as error:
                found.append(f"{type(error).__name__}: {one_line(error)}")
            problems += [f"{candidate.key}: {problem}" for problem in found]
    return problems


def _other_shapes(backend: Backend, candidates: Sequence[Candidate], model: Model) -> list[Candidate]:
    """Return the shapes that the backend would tune its Candidates with, less those that it proposes.

    Raises:
        ValueError: a key is not well formed, or another thing than the shape and its options differs.
    """
    if not hasattr(backend, "shapes") or model.fixed_batch is not None:
        return []
    known = {candidate.key for candidate in candidates}
    found: dict[str, Candidate] = {}
    for candidate in candidates:
        if candidate.on_request:
            continue
        others = cast(Shapable, backend).shapes(candidate, BATCHES[:2])
        _check_keys(backend.name, others)
        for one in others:
            if (one.precision, one.tuning) != (candidate.precision, candidate.tuning):
                raise ValueError(f"shapes of {candidate.key} have {one.key}, which differs in more than its shape")
            if one.key not in known:
                found[one.key] = one
    return list(found.values())


def _check_names(backend: Backend) -> list[str]:
    values = {attribute: getattr(backend, attribute, None) for attribute in ("name", "title")}
    return [f"{a} is {v!r}; expected some text" for a, v in values.items() if not (isinstance(v, str) and v)]


def _check_import(backend: Backend) -> list[str]:
    """Import the backend's module in a fresh interpreter, and look what came along."""
    code = (
        f"import sys; import bakeoff.backend; import {type(backend).__module__}; "
        f"print(*[name for name in {RUNTIMES!r} if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        return [f"module {type(backend).__module__} cannot be imported: {one_line(done.stderr[-300:])}"]
    if done.stdout.split():
        return [f"importing its module imports {', '.join(done.stdout.split())}; import inside the functions"]
    return []


def _check_candidate(
    backend: Backend, candidate: Candidate, forms: _Forms, images: Images, folder: Path, problems: list[str]
) -> None:
    folder.mkdir(parents=True)
    before = _surroundings(folder)
    job = ConvertJob(
        candidate=candidate,
        model=forms,
        folder=folder,
        batches=BATCHES[:2],
        calibration=_Calibration(images) if candidate.sees_images else None,
    )
    artifact = backend.convert(job)
    if outside := sorted(str(path) for path in _surroundings(folder) - before):
        problems.append(f"convert writes outside its folder: {', '.join(outside)}")
    truth = Artifact.of(folder)
    if not truth.files:
        problems.append("convert leaves no file in its folder")
    if {file.path: file for file in artifact.files} != {file.path: file for file in truth.files}:
        problems.append("the Artifact's files are not those in its folder, with their sha256 and bytes")
    if Path(artifact.folder) != folder:
        problems.append(f"the Artifact's folder is {artifact.folder}, not the one given")
    device = device_for(backend, None) or "cpu"
    plain = LoadJob(candidate=candidate, artifact=artifact, model=forms, threads=THREADS, device=device)
    with backend.load(plain) as session:
        if session.precision != candidate.precision:
            problems.append(f"the Session computes in {session.precision}")
        if session.device != device:
            problems.append(f"asked for device {device}, the Session runs on {session.device}")
        if not _is_json(session.details):
            problems.append("the Session's details are no plain JSON values")
        takes = [b for b in BATCHES if candidate.takes(b) and (candidate.shape != "static" or b in job.batches)]
        for batch in takes:
            _check_run(session, _batch(images, 0, batch), 4 + len(forms.model.class_names), problems)
        if takes and not problems:
            _check_answers(session, images, takes, problems)
        if not takes or problems or not hasattr(backend, "tunings"):
            return
        few = _batch(images, 0, takes[0])
        expected = np.array(session.run(few)[0])
    for tuning in cast(Tunable, backend).tunings(candidate, host.describe(), THREADS):
        tuned = msgspec.structs.replace(candidate, tuning=tuple(tuning))
        _check_keys(backend.name, [tuned])
        with backend.load(replace(plain, candidate=tuned, threads=tuned.threads or THREADS)) as session:
            if session.precision != candidate.precision or not _close(session.run(few)[0], expected):
                problems.append(f"with {'/'.join(tuning)} it gives another output or precision than without")
    unknown = msgspec.structs.replace(candidate, tuning=(UNKNOWN,))
    try:
        backend.load(replace(plain, candidate=unknown))
    except Exception as error:
        if UNKNOWN not in str(error):
            problems.append(f"the error about an unknown setting {UNKNOWN!r} does not name it: {one_line(error)}")
    else:
        problems.append(f"loads with an unknown setting, {UNKNOWN!r}, as if it were none")


def _check_run(session: Session, batch: Images, channels: int, problems: list[str]) -> None:
    before = batch.copy()
    outputs = session.run(batch)
    head = outputs[0] if len(outputs) else None
    shape = getattr(head, "shape", ())
    if not isinstance(head, np.ndarray) or len(shape) != 3 or shape[:2] != (len(batch), channels):
        problems.append(
            f"output 0 for a batch of {len(batch)} is {type(head).__name__} {list(shape)}; "
            f"expected a NumPy array [{len(batch)}, {channels}, anchors]"
        )
        return
    if head.dtype != np.float32:
        problems.append(f"output 0 is {head.dtype}, not float32")
    if not np.isfinite(head).all():
        problems.append("output 0 has NaN or infinite values")
    elif head[:, 4:].min() < -1e-3 or head[:, 4:].max() > 1 + 1e-3:
        problems.append(f"scores lie in {head[:, 4:].min():g}..{head[:, 4:].max():g}, not in 0..1")
    if not np.array_equal(before, batch):
        problems.append("run changes the images that it was given")


def _check_answers(session: Session, images: Images, takes: Sequence[int], problems: list[str]) -> None:
    """Same image, same answer: once more, in a larger batch, from two threads; another image, another answer."""
    smallest = takes[0]
    alone = [np.array(session.run(_batch(images, i, smallest))[0]) for i in range(len(images))]
    if not _close(session.run(_batch(images, 0, smallest))[0], alone[0]):
        problems.append("the same image gives another output the second time")
    if any(np.array_equal(alone[0], other) for other in alone[1:]):
        problems.append("different images give the same output")
    if smallest == 1:
        for batch in takes[1:]:
            together = np.array(session.run(_batch(images, 0, batch))[0])
            if not all(_close(together[i : i + 1], alone[i % len(images)]) for i in range(batch)):
                problems.append(f"an image in a batch of {batch} gives another output than alone")

    def stream(first: int) -> bool:
        order = [(first + i) % len(images) for i in range(2 * len(images))]
        return all(_close(session.run(_batch(images, i, smallest))[0], alone[i]) for i in order)

    with ThreadPoolExecutor(2) as pool:
        if not all(pool.map(stream, (0, 1))):
            problems.append("two threads at once get outputs of each other's images")


def _is_json(value: object) -> bool:
    try:
        return bool(json.dumps(value))
    except (TypeError, ValueError):
        return False


def _batch(images: Images, first: int, batch: int) -> Images:
    return np.ascontiguousarray(images[[(first + i) % len(images) for i in range(batch)]])


def _close(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> bool:
    return a.shape == b.shape and np.allclose(a, b, rtol=RTOL, atol=ATOL)


def _surroundings(folder: Path) -> set[Path]:
    """Return what stands beside a folder, and in the working directory."""
    return {*folder.parent.iterdir(), *Path.cwd().iterdir()}


class _Calibration:
    """`Calibration` from images in memory."""

    preset, seed = "mixed", 0

    def __init__(self, images: Images) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def __iter__(self) -> Iterator[Images]:
        for i in range(len(self._images)):
            yield self._images[i : i + 1]


class _Forms:
    """`ModelForms` made here, on demand."""

    def __init__(self, file: models.ModelFile, folder: Path) -> None:
        self._file, self._folder = file, folder
        self.model = file.model

    def onnx(self, batch: int | None, opset: int = 17) -> Path:
        path = self._folder / f"{batch or 'dynamic'}-opset{opset}.onnx"
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file.export_onnx(batch, opset, path)
        return path

    def torch_module(self) -> Any:
        return self._file.torch_module()
