"""The Model, Workloads, Candidates, Artifacts, and what every other record is made of."""

from __future__ import annotations

import fnmatch
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from bakeoff.errors import InputError

UNKNOWN = "unknown"  # what an imported table does not say
MIXED = "int8+fp32"  # precision of an INT8 conversion that keeps some layers in float


class Record(msgspec.Struct, frozen=True):
    """Base of all records: immutable. (`frozen` and `kw_only` are said again by each: checkers want it.)"""


class Model(Record, frozen=True, kw_only=True):
    """The trained model as received."""

    path: str
    sha256: str
    size_bytes: int
    format: str  # "ultralytics" or "onnx"
    task: str
    class_names: tuple[str, ...]
    named: bool = True  # False: the file carries no class names, so they are numbers
    stride: int
    imgsz: int
    fixed_batch: int | None = None  # an ONNX file may take one batch size only
    fixed_imgsz: bool = False
    trusted: bool = False
    origin: dict[str, str] = {}

    @classmethod
    def unknown(cls) -> Model:
        """Return what stands for the Model of an imported table, which says nothing of it."""
        return cls(
            path=UNKNOWN, sha256="", size_bytes=0, format=UNKNOWN, task="detect", class_names=(), named=False,
            stride=0, imgsz=0,
        )  # fmt: skip


class Workload(Record, frozen=True, kw_only=True):
    """S streams, each predicting batches of B frames in a closed loop."""

    streams: int
    batch: int

    def __str__(self) -> str:
        return f"{self.streams}x{self.batch}"

    @classmethod
    def parse(cls, text: str) -> Workload:
        """Read `SxB`, both 1 to 64.

        Raises:
            InputError: anything else was given.
        """
        streams, _, batch = text.partition("x")
        if not (streams.isdecimal() and batch.isdecimal() and 1 <= int(streams) <= 64 and 1 <= int(batch) <= 64):
            raise InputError(f"workload {text!r} is not STREAMSxBATCH such as 1x2 (each 1 to 64)")
        return cls(streams=int(streams), batch=int(batch))


class Candidate(Record, frozen=True, kw_only=True):
    """One choice of backend, precision, shape and options; `key` is its stable name (contract 2a)."""

    backend: str
    precision: str
    shape: str  # static, dyn, bN or dMIN-MAX
    options: tuple[str, ...] = ()
    tuning: tuple[str, ...] = ()  # settings of loading, such as `t2`: the Artifact is the plain Candidate's
    title: str = ""  # the runtime's name as people write it
    on_request: bool = False  # runs only where --only asks for it, or a repair does
    elsewhere: str = ""  # path of the Artifact made elsewhere that it is; empty: bakeoff converts it
    called: str = ""  # its label in an imported table; empty: one of our making

    @property
    def key(self) -> str:
        """`backend/precision/shape[/option…]`."""
        return "/".join((self.backend, self.precision, self.shape, *self.options, *self.tuning))

    @property
    def threads(self) -> int | None:
        """What `tN` among its settings of loading asks for, and so its child gets; `None`: as many as all others."""
        found = (re.fullmatch("t([1-9][0-9]*)", part) for part in self.tuning)
        return next((int(match.group(1)) for match in found if match is not None), None)

    @property
    def plain(self) -> Candidate:
        """The Candidate with its runtime's default settings, whose Artifact this one loads."""
        return msgspec.structs.replace(self, tuning=()) if self.tuning else self

    @property
    def slug(self) -> str:
        """The key as one path component."""
        return self.key.replace("/", "-")

    @property
    def label(self) -> str:
        """A short name for charts and people."""
        if self.called:
            return self.called
        shapes = {"static": "static", "dyn": "dynamic"}
        shape = shapes.get(self.shape, f"batch {self.shape[1:]}" if self.known_shape else self.shape)
        return (
            f"{self.title or self.backend} {self.precision.upper()} ({', '.join((shape, *self.options, *self.tuning))})"
        )

    @property
    def known_shape(self) -> bool:
        """Whether its shape is one that bakeoff has; an imported table may say something else, or nothing."""
        return re.fullmatch("static|dyn|b[1-9][0-9]*|d[1-9][0-9]*-[1-9][0-9]*", self.shape) is not None

    @property
    def quantised(self) -> bool:
        """Whether it computes in 8 bits."""
        return self.precision in ("int8", MIXED)

    @property
    def sees_images(self) -> bool:
        """Whether its conversion gets calibration images where there are some: FP16 looks for values too large."""
        return self.calibrated or (self.precision == "fp16" and not self.elsewhere)

    @property
    def calibrated(self) -> bool:
        """Whether its conversion needs calibration images."""
        return self.quantised and not self.elsewhere

    @property
    def from_recipe(self) -> bool:
        """Whether its conversion needs a Recipe: it keeps some layers in float, and bakeoff chooses which."""
        return self.precision == MIXED and not self.elsewhere

    def takes(self, batch: int) -> bool:
        """Whether an Artifact of this shape can run a batch of this size (a static one is built for those asked)."""
        if self.shape in ("static", "dyn"):
            return True
        low, _, high = self.shape[1:].partition("-")
        return int(low) <= batch <= int(high or low)

    def matches(self, pattern: str) -> bool:
        """Whether an fnmatch pattern (`*` crosses `/`) selects this Candidate."""
        return fnmatch.fnmatchcase(self.key, pattern)


class ArtifactFile(Record, frozen=True, kw_only=True):
    """One file of an Artifact, its path relative to the Artifact's folder."""

    path: str
    sha256: str
    size_bytes: int


class Artifact(Record, frozen=True, kw_only=True):
    """The files that a conversion made, and how."""

    folder: str
    files: tuple[ArtifactFile, ...]
    batches: tuple[int, ...] = ()  # a static Artifact: the batch sizes it was built for
    how: dict[str, Any] = {}  # converter, versions, settings: plain JSON values

    @classmethod
    def of(cls, folder: Path, *, batches: Sequence[int] = (), **how: Any) -> Artifact:
        """Describe every file in and below `folder` as one Artifact; `how` says what made it."""
        files = []
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            name = path.relative_to(folder).as_posix()
            files.append(ArtifactFile(path=name, sha256=digest, size_bytes=path.stat().st_size))
        return cls(folder=str(folder), files=tuple(files), batches=tuple(batches), how=how)

    @property
    def size_bytes(self) -> int:
        """Bytes on disk of everything that deploys."""
        return sum(file.size_bytes for file in self.files)


class Failure(Record, frozen=True, kw_only=True):
    """Why a Trial ended early: a value with its cause."""

    step: str  # convert, load, verify, time
    kind: str  # error, signal, exit, timeout, protocol, output
    cause: str  # one line
    log_tail: str = ""
    log: str = ""  # relative to the Run's folder
    reproduce: str = ""


class SessionFacts(Record, frozen=True, kw_only=True):
    """What a Session says of itself once loaded: in force, not asked for."""

    device: str
    precision: str
    details: dict[str, Any] = {}


class Estimate(Record, frozen=True, kw_only=True):
    """A figure, or a difference to the reference's, with its 95% interval."""

    value: float
    low: float
    high: float


Intervals = dict[str, tuple[float, float]]  # figure -> its 95% interval
