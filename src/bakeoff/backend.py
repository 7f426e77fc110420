"""What a runtime must offer to take part: the Backend and Session protocols.

A backend is one class in one file. It imports its runtime inside the functions that use it, never at module level,
and is found through the entry-point group `bakeoff.backends`. `bakeoff.testing.check_backend` checks one.
"""

from __future__ import annotations

import enum
import importlib.metadata
import importlib.util
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, cast

import msgspec
import numpy as np
import numpy.typing as npt

from bakeoff.records import Artifact, Candidate, Host, Model, Problem, Recipe, Script

Images = npt.NDArray[np.float32]  # (batch, 3, imgsz, imgsz), RGB, 0..1
Outputs = Sequence[npt.NDArray[np.float32]]  # raw network outputs; the first is the head's


class Step(enum.Enum):
    """What a Backend may be unable to do here."""

    CONVERT = "convert"
    RUN = "run"


class ModelForms(Protocol):
    """The Model in the forms that a conversion can start from."""

    @property
    def model(self) -> Model:
        """What is known of the file."""
        ...

    def onnx(self, batch: int | None, opset: int = 17) -> Path:
        """Return an ONNX file with this fixed batch size, or a dynamic one for `None`; input `images`.

        Call it before any other work in `convert`: where the file is still to be made, the worker interrupts the
        conversion here, has it made in another process, and starts the conversion again.
        """
        ...

    def torch_module(self) -> Any:
        """Return the network as a fused float32 `torch.nn.Module` in eval mode: images in, head output out."""
        ...


class Calibration(Protocol):
    """Images that a conversion may look at, drawn from outside the validation images."""

    @property
    def preset(self) -> str:
        """The method asked for: `mixed` or `performance`."""
        ...

    @property
    def seed(self) -> int:
        """The seed of the draw."""
        ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Images]:
        """Yield one image at a time, (1, 3, imgsz, imgsz)."""
        ...


@dataclass(frozen=True, kw_only=True)
class ConvertJob:
    """All that a conversion gets."""

    candidate: Candidate
    model: ModelForms
    folder: Path  # empty; all that is written here deploys
    batches: tuple[int, ...]  # the batch sizes that the Workloads use
    calibration: Calibration | None = None  # there for INT8 candidates; for FP16 ones where the Run has any
    recipe: Recipe | None = None  # there for mixed ones (`int8+fp32`): which layers stay in float


@dataclass(frozen=True, kw_only=True)
class LoadJob:
    """All that loading gets."""

    candidate: Candidate
    artifact: Artifact
    model: ModelForms
    threads: int
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Refuse other threads than a `tN` Candidate is named for: OpenMP took its width when the process began."""
        if self.candidate.threads not in (None, self.threads):
            raise ValueError(f"{self.candidate.key} loads with {self.candidate.threads} threads, not {self.threads}")


class Session(Protocol):
    """A loaded Artifact. `run` is called from several threads at once, one call a thread."""

    device: str  # in force, not asked for
    precision: str  # likewise, in the words of the Candidate key
    details: dict[str, Any]  # plain JSON values worth keeping: threads, providers, layer precisions

    def run(self, images: Images) -> Outputs:
        """Return the head's outputs, in host memory; they need to hold only until this thread's next call."""
        ...

    def __enter__(self) -> Session: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Backend(Protocol):
    """One runtime. Everything but `propose` and `probe` runs in a child process."""

    name: str  # as in Candidate keys
    title: str  # as people write it

    def probe(self) -> str:
        """Return the runtime's version, after making sure that its native library loads.

        Raises:
            Exception: it does not.
        """
        ...

    def unavailable(self, step: Step) -> str | None:
        """Return why a step can't be done here and the cure, or `None`."""
        ...

    def propose(self, model: Model, host: Host) -> Sequence[Candidate]:
        """Return the Candidates worth trying, the plainest first; none where the Model's form rules it out."""
        ...

    def convert(self, job: ConvertJob) -> Artifact:
        """Write the Artifact's files into `job.folder` and describe them (`Artifact.of`)."""
        ...

    def load(self, job: LoadJob) -> Session:
        """Load an Artifact; fail rather than fall back to another device or precision."""
        ...


@dataclass
class BaseSession:
    """The context manager that most Sessions need, with nothing to release."""

    device: str = "cpu"
    precision: str = "fp32"
    details: dict[str, Any] = field(default_factory=dict)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class Locking(Protocol):
    """A Session that reads some memory faster than other: page-locked memory, which a GPU copies from by itself."""

    def locked_images(self, shape: tuple[int, int, int, int]) -> Images:
        """Return such an array of zeros, for a caller to fill again and again and hand to `run`."""
        ...


class Emulator(Protocol):
    """A Session that can also compute its own quantised graph in float, to be held against."""

    def emulate(self, images: Images) -> Outputs:
        """Return the outputs of the same graph, every quantised operation computed in float."""
        ...

    def saturates(self) -> bool | None:
        """Whether a convolution of large 8-bit values comes out wrong in this runtime on this CPU; `None`: unknown."""
        ...


class Ranker(Protocol):
    """A Backend that can rank layers by the error that quantising each alone brings in."""

    def rank(self, job: ConvertJob) -> Recipe:
        """Return the ranking for the job's Model and calibration images, with no layer kept in float yet."""
        ...


class Checker(Protocol):
    """A Backend that can say what would go wrong in a conversion before it is begun."""

    def check(self, job: ConvertJob) -> Sequence[Problem]:
        """Return what stands in the way of converting this job's Model for its Candidate; nothing where all is well."""
        ...


class Tunable(Protocol):
    """A Backend that can load the same Artifact with other settings than it does by default."""

    def tunings(self, candidate: Candidate, host: Host, threads: int) -> Sequence[tuple[str, ...]]:
        """Return the settings worth trying on this machine, each as parts of a key (`("t2", "nospin")`).

        `candidate` is one that `propose` returned, `threads` what it loads with by default. `load` reads them from
        `job.candidate.tuning`, and fails where one is unknown (`tuning_of`) or not in force (`check_in_force`).
        """
        ...


def images_for(session: Session, shape: tuple[int, int, int, int]) -> Images:
    """Return zeros for images (batch, 3, imgsz, imgsz), in the memory that the Session reads fastest (`Locking`)."""
    if hasattr(session, "locked_images"):
        return cast(Locking, session).locked_images(shape)
    return np.zeros(shape, np.float32)


def device_for(backend: Backend, asked: str | None) -> str | None:
    """Return where a Backend's Sessions run: on the device asked for, else on the CPU; `None` where on neither.

    An optional attribute `devices` of a Backend names the kinds that it runs on: `("cpu",)` without it, `("cuda",)` for
    TensorRT. Where nothing is asked for, it is the first of them.
    """
    kinds: Sequence[str] = getattr(backend, "devices", ("cpu",))
    if asked is None:
        return kinds[0] if kinds[0] == "cpu" else f"{kinds[0]}:0"
    if asked.partition(":")[0] in kinds:
        return asked
    return "cpu" if "cpu" in kinds else None


@dataclass(frozen=True, kw_only=True)
class Adopted:
    """What a Backend makes of an Artifact made elsewhere; bakeoff copies its files and forms the Candidate."""

    precision: str  # computed in, in the words of keys
    shape: str  # dyn, bN or dMIN-MAX
    files: Mapping[str, Path]  # name in the Artifact, as `load` looks for it -> the file to copy
    options: tuple[str, ...] = ()  # of the key, before the one that says where it comes from
    batches: tuple[int, ...] = ()  # as in `Artifact`
    how: Mapping[str, Any] = field(default_factory=dict)  # plain JSON values: what `load` needs, what the file says


class Adopter(Protocol):
    """A Backend that takes Artifacts made elsewhere, by another exporter."""

    adopts: str  # what it takes, in words: `ONNX files (.onnx)`

    def takes(self, path: Path) -> bool:
        """Return whether this path is of its kind, by its name; imports nothing."""
        ...

    def adopt(self, path: Path, model: Model) -> Adopted:
        """Return what the Artifact is, after making sure that it fits the Model; asked again before it is copied.

        Raises:
            InputError: it is broken, or made for another task, other classes or another input.
        """
        ...


class Describer(Protocol):
    """An `Adopter` that can tell what Model an Artifact is of from the Artifact alone, as predicting with it needs."""

    def describe(self, path: Path, imgsz: int | None, class_names: Sequence[str]) -> Model:
        """Return it, by what the file says of itself; `imgsz` and `class_names` are what the user says, if anything.

        Raises:
            InputError: one of the two is not known then.
        """
        ...


class Scripted(Protocol):
    """A Backend whose Artifacts get a `predict.py`, which predicts without bakeoff."""

    def script(self, candidate: Candidate, artifact: Artifact) -> Script:
        """Return what loads an Artifact for one image at a time, with all that the Session sets; imports no runtime."""
        ...


class Shapable(Protocol):
    """A Backend that can give the same network other shapes than it proposes by itself."""

    def shapes(self, candidate: Candidate, batches: Sequence[int]) -> Sequence[Candidate]:
        """Return the other shapes or profiles worth trying for these batch sizes, the plainest first.

        `candidate` is one that `propose` returned for a Model whose batch size is free, `batches` are those of the
        Workloads, the commonest first. What is returned differs from it in shape, and in options that concern the
        shape, alone; `convert` and `load` take it like any other.
        """
        ...


FREE_SHAPES = ("static", "b1", "dyn")


def other_shapes(candidate: Candidate, batches: Sequence[int], shapes: Sequence[str] = FREE_SHAPES) -> list[Candidate]:
    """Return a Candidate in each of some shapes but its own, for `Shapable.shapes`.

    Where only batches of 1 are asked for, `static` and `b1` are the same thing: one of them is enough.
    """
    left = [shape for shape in shapes if shape != candidate.shape]
    if set(batches) == {1}:
        left = [shape for shape in left if shape == "dyn" or (shape == "static" and candidate.shape == "dyn")]
    return [msgspec.structs.replace(candidate, shape=shape, on_request=True) for shape in left]


def thread_counts(host: Host, threads: int) -> list[int]:
    """Return the numbers of threads worth trying beside the default: powers of two, all cores, all logical CPUs."""
    most = host.cpus_usable or host.cores_usable
    counts = {1 << i for i in range(most.bit_length()) if 1 << i <= most} | {host.cores_usable, most}
    return sorted(counts - {threads})


def tuning_of(candidate: Candidate, *, numbers: Sequence[str] = (), words: Sequence[str] = ()) -> dict[str, int]:
    """Return a Candidate's settings of loading by name: the number of a numbered one, 1 for a word.

    Args:
        candidate: `tuning` is read.
        numbers: letters that a number of 1 or more follows, such as `t` for `t2`.
        words: such as `nospin`.

    Raises:
        ValueError: a setting that is none of these, or that is given twice.
    """
    found: dict[str, int] = {}
    for part in candidate.tuning:
        name, value = part, 1
        if part not in words:
            match = re.fullmatch(r"([a-z]+)([1-9][0-9]*)", part)
            if match is None or match.group(1) not in numbers:
                known = ", ".join([*(f"{letter}N" for letter in numbers), *words])
                raise ValueError(f"{candidate.key}: {candidate.backend} has no setting {part!r}; it has {known}")
            name, value = match.group(1), int(match.group(2))
        if name in found:
            raise ValueError(f"{candidate.key}: the setting {part!r} is given twice")
        found[name] = value
    return found


def check_in_force(candidate: Candidate, asked: Mapping[str, object], found: Mapping[str, object]) -> None:
    """Refuse a Session whose settings, as read back from its runtime, are others than asked for.

    Raises:
        RuntimeError: naming the first.
    """
    for name, value in asked.items():
        if found.get(name) != value:
            raise RuntimeError(f"{candidate.key} asks for {name} = {value}, but {found.get(name)} is in force here")


PROGRESS = "progress: "  # what a line of a child's log begins with that says how far a conversion is


def tell_progress(text: str) -> None:
    """Print how far a conversion is, so that bakeoff shows it while it waits."""
    print(f"{PROGRESS}{text}", flush=True)


_PART = re.compile(r"[a-z0-9][a-z0-9+._-]*")
_SHAPE = re.compile(r"static|dyn|b[1-9][0-9]*|d[1-9][0-9]*-[1-9][0-9]*")


def check_candidates(name: str, candidates: Sequence[Candidate]) -> None:
    """Refuse Candidates whose keys are not well formed (contract 2a), not unique, or another backend's.

    Raises:
        ValueError: naming the first of them.
    """
    seen = set()
    for candidate in candidates:
        key = candidate.key
        if candidate.backend != name:
            raise ValueError(f"backend {name!r} proposes {key!r}, whose backend is another")
        parts = (name, candidate.precision, *candidate.options, *candidate.tuning)
        if not all(_PART.fullmatch(part) for part in parts):
            raise ValueError(f"Candidate {key!r}: each part of a key needs lower-case letters, digits and '+._-' alone")
        if not _SHAPE.fullmatch(candidate.shape):
            raise ValueError(f"Candidate {key!r}: shape {candidate.shape!r} is not static, dyn, bN or dMIN-MAX")
        if key in seen:
            raise ValueError(f"backend {name!r} proposes {key!r} twice")
        seen.add(key)


def ultralytics_metadata(model: Model, batch: int | None) -> dict[str, Any]:
    """Return what Ultralytics' loaders read in an exported file, so that `YOLO(file)` takes it as it is.

    The same for every export of a Model: a date of its own would give equal files another sha256. `dynamic` means free
    height and width to Ultralytics, which then feeds rectangles: a free batch alone is none.

    Args:
        model: the Model.
        batch: what the file is fixed to; `None`: any, of which Ultralytics then uses 1.
    """
    size = [model.imgsz, model.imgsz]
    return {
        "description": f"made by bakeoff from {Path(model.path).name}",
        **model.origin,  # author, version, date, license: those of the weights
        "task": model.task,
        "stride": model.stride,
        "batch": batch or 1,
        "imgsz": size,
        "channels": 3,
        "end2end": False,
        "args": {"batch": batch or 1, "imgsz": size, "dynamic": False, "nms": False},
        **({"names": dict(enumerate(model.class_names))} if model.named else {}),
        "model_sha256": model.sha256,
    }


def missing(package: str, extra: str) -> str | None:
    """Return why a package can't be used here and the cure, or `None`; imports nothing."""
    if importlib.util.find_spec(package) is not None:
        return None
    return f"{package} is not installed; pip install 'bakeoff[{extra}]'"


def version_of(package: str) -> str:
    """Return an installed distribution's version."""
    return importlib.metadata.version(package)
