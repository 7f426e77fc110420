"""The frozen records that travel between the steps, over the pipe and into `results.json`.

Absent is `None`, never 0 or -1. Statistics are derived from samples and are not stored here, except where deriving
them again would need the images (accuracy).
"""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from bakeoff.errors import InputError

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
    title: str = ""  # the runtime's name as people write it
    on_request: bool = False  # runs only where --only asks for it, or a repair does

    @property
    def key(self) -> str:
        """`backend/precision/shape[/option…]`."""
        return "/".join((self.backend, self.precision, self.shape, *self.options))

    @property
    def slug(self) -> str:
        """The key as one path component."""
        return self.key.replace("/", "-")

    @property
    def label(self) -> str:
        """A short name for charts and people."""
        shapes = {"static": "static", "dyn": "dynamic"}
        shape = shapes.get(self.shape, f"batch {self.shape[1:]}")
        return f"{self.title or self.backend} {self.precision.upper()} ({', '.join((shape, *self.options))})"

    @property
    def quantised(self) -> bool:
        """Whether it needs calibration images."""
        return self.precision in ("int8", MIXED)

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


class ClassMetrics(Record, frozen=True, kw_only=True):
    """One class's figures; `None` where the ground truth has no box of it."""

    name: str
    boxes: int
    precision: float | None
    recall: float | None
    ap50: float | None
    ap50_95: float | None
    intervals: Intervals = {}  # of the four figures, by name
    deltas: dict[str, Estimate] = {}  # to the reference's, by name


class Accuracy(Record, frozen=True, kw_only=True):
    """Accuracy on the validation images; definitions in docs/accuracy.md."""

    images: int
    boxes: int
    detections: int
    precision: float
    recall: float
    map50: float
    map50_95: float
    confidence: float  # the threshold of best mean F1, at which precision and recall stand
    per_class: tuple[ClassMetrics, ...]
    coco: dict[str, float | None]
    intervals: Intervals = {}  # of precision, recall, map50 and map50_95


class ReliabilityBin(Record, frozen=True, kw_only=True):
    """Detections whose scores lie in one range: what they promise and how many are right."""

    detections: int
    confidence: float  # their mean score
    precision: float


class OperatingPoint(Record, frozen=True, kw_only=True):
    """What a deployed detector does at one threshold, the same for every Candidate; all classes together."""

    confidence: float  # to deploy; the figures stand at it where it was given, else at `fold_confidences`
    given: bool  # by --conf; otherwise the reference's best F1, cross-fitted
    fold_confidences: tuple[float, ...] = ()  # that of each half, found on the other half
    precision: Estimate
    recall: Estimate
    f1: Estimate
    false_alarms_per_image: Estimate
    misses_per_image: Estimate
    deltas: dict[str, Estimate] = {}  # to the reference's, by the names above
    restoring_confidence: float | None = None  # the highest that reaches the reference's recall
    restoring_false_alarms_per_image: float | None = None  # what it costs
    d_ece: Estimate | None = None  # detection expected calibration error
    d_ece_delta: Estimate | None = None
    reliability: tuple[ReliabilityBin, ...] = ()


class SizeAgreement(Record, frozen=True, kw_only=True):
    """Agreement on the boxes of one size (COCO's small, medium and large, by the reference's box)."""

    size: str
    reference_boxes: int
    matched_share: float | None  # of the reference's boxes
    mean_iou: float | None
    score_shift: float | None


class ImageDifference(Record, frozen=True, kw_only=True):
    """One image on which a Candidate differs from the reference; the boxes are in the Run's samples."""

    image: str  # its file
    index: int  # among the validation images
    difference: float
    lost: int  # boxes that only the reference has
    added: int  # boxes that only the Candidate has
    flips: int  # matched boxes of another class
    kept: str | None = None  # a copy of the frame, relative to the Run's folder


class Agreement(Record, frozen=True, kw_only=True):
    """How a Candidate's Detections agree with the reference's, at one confidence; needs no labels."""

    confidence: float
    reference_boxes: int
    boxes: int
    matched_share: Estimate  # 2 x matched / (reference's + Candidate's boxes)
    mean_iou: Estimate | None  # the following: of the matched boxes
    score_shift: Estimate | None  # Candidate's score minus the reference's
    class_flips: Estimate | None  # share whose class is another
    by_size: tuple[SizeAgreement, ...] = ()
    worst: tuple[ImageDifference, ...] = ()


class GroupParity(Record, frozen=True, kw_only=True):
    """Raw outputs against another's on the same images, for one group of channels of one output."""

    output: str
    group: str  # boxes (pixels) or scores (0..1)
    max_error: float
    mean_error: float
    confident_error: float | None  # mean over the anchors that score 0.25 or more on either side


class Parity(Record, frozen=True, kw_only=True):
    """Raw outputs on real images, against the reference's and, quantised, against the float emulation of its graph."""

    images: int
    constant: tuple[str, ...] = ()  # groups that are the same on all validation images
    reference: tuple[GroupParity, ...] = ()
    emulation: tuple[GroupParity, ...] = ()


class CalibrationDraw(Record, frozen=True, kw_only=True):
    """One more conversion of an INT8 Candidate, from another draw of calibration images."""

    seed: int
    map50_95: float
    map50: float
    recall: float  # at the operating point
    map_delta: Estimate


class LayerError(Record, frozen=True, kw_only=True):
    """What quantising one layer alone does to the detections on calibration images."""

    layer: str  # the ONNX node's name
    error: float


class Recipe(Record, frozen=True, kw_only=True):
    """Which layers an INT8 conversion keeps in float, and why; one for every backend. Written as `recipe.json`."""

    model_sha256: str
    calibration_images: int
    calibration_seed: int
    ranking: tuple[LayerError, ...]  # of all quantisable layers, the worst first
    float_layers: tuple[str, ...] = ()  # of the conversion at hand
    kept: dict[str, int] = {}  # how many of the worst each Candidate of the Run kept in float in the end, by its key
    seconds: float | None = None  # that ranking took


class RepairAttempt(Record, frozen=True, kw_only=True):
    """One try at repairing an INT8 Candidate: so many layers kept in float, and what came of it."""

    float_layers: int
    map_delta: Estimate
    verdict: str


class WarmUp(Record, frozen=True, kw_only=True):
    """How one process warmed up for one Workload."""

    generation: int
    workload: str
    block_medians_ms: tuple[float, ...]
    settled: bool


class Trial(Record, frozen=True, kw_only=True):
    """All that is known of one Candidate."""

    candidate: Candidate
    skip: str | None = None  # the reason and the cure
    failure: Failure | None = None
    artifact: Artifact | None = None
    convert_s: float | None = None
    session: SessionFacts | None = None
    load_s: float | None = None
    first_run_ms: float | None = None
    peak_memory_bytes: int | None = None
    accuracy: Accuracy | None = None
    map_delta: Estimate | None = None
    map50_delta: Estimate | None = None
    precision_delta: Estimate | None = None
    recall_delta: Estimate | None = None
    operating_point: OperatingPoint | None = None
    agreement: Agreement | None = None
    parity: Parity | None = None
    calibration_draws: tuple[CalibrationDraw, ...] = ()
    repair: tuple[RepairAttempt, ...] = ()  # of a mixed Candidate: what was tried, in order
    warm_up: tuple[WarmUp, ...] = ()
    not_measured: dict[str, str] = {}  # Workload -> why its cell is empty
    built_only: str | None = None  # why an Artifact can't run on this host
    verified: bool = False
    timed: bool = False

    @property
    def status(self) -> str:
        """`ok`, `built`, `failed` or `skipped`, as in `table.csv`."""
        if self.skip is not None:
            return "skipped"
        if self.failure is not None:
            return "failed"
        return "built" if self.built_only is not None else "ok"

    @property
    def reason(self) -> str:
        """One line on why something is missing; empty where nothing is."""
        if self.skip is not None:
            return self.skip
        if self.failure is not None:
            return f"{self.failure.step}: {self.failure.cause}"
        if self.built_only is not None:
            return self.built_only
        return "; ".join(f"{workload} not measured: {why}" for workload, why in self.not_measured.items())


class Requirements(Record, frozen=True, kw_only=True):
    """What the user needs of the winner."""

    max_map_drop: float = 0.01
    max_recall_drop: float | None = None  # at the operating point
    latency_budget_ms: float | None = None
    percentile: float = 50.0
    prefer: str = "latency"


class Settings(Record, frozen=True, kw_only=True):
    """Everything that a Run was asked to do; a Run can only be resumed with the same."""

    model: str
    data: str | None = None
    calibration: str | None = None
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    workloads: tuple[Workload, ...] = (
        Workload(streams=1, batch=1),
        Workload(streams=1, batch=2),
        Workload(streams=2, batch=1),
    )
    frames: int = 250
    images: int | None = None
    imgsz: int | None = None
    conf: float | None = None  # None: 0.25 for timing, the reference's best F1 for accuracy
    labels: bool = True
    device: str = "cpu"
    seed: int = 0
    threads: int | None = None
    quick: bool = False
    trust: bool = False
    accuracy: bool = True
    speed: bool = True
    calibration_images: int = 128
    calibration_seeds: int = 1
    int8_preset: str = "mixed"
    repair: bool = True
    step_timeout_s: float | None = None
    requirements: Requirements = Requirements()
    command: tuple[str, ...] = ()

    @property
    def timed_confidence(self) -> float:
        """The confidence of timed postprocessing."""
        return 0.25 if self.conf is None else self.conf


class BackendStatus(Record, frozen=True, kw_only=True):
    """What a Backend's probe said on this host."""

    name: str
    title: str
    version: str | None = None
    device: str | None = None
    cannot_convert: str | None = None  # the reason and the cure
    cannot_run: str | None = None


class Host(Record, frozen=True, kw_only=True):
    """The machine that measured; `None` where it can't tell."""

    cpu: str | None
    architecture: str
    cores_physical: int | None
    cores_usable: int
    instruction_sets: tuple[str, ...]
    memory_bytes: int
    os: str
    kernel: str
    python: str
    governor: str | None
    container: str | None
    virtual: str | None
    load_1m: float | None


class Dataset(Record, frozen=True, kw_only=True):
    """The images and labels of one dataset, as read (the pixels stay on disk)."""

    path: str
    class_names: tuple[str, ...]
    images: int
    boxes: int
    sha256: str  # over the images' hashes and the labels, in order
    background_images: int
    duplicate_boxes: int
    calibration_from: str | None = None
    calibration_images: int = 0


class Verdict(Record, frozen=True, kw_only=True):
    """What the judge says of one Candidate."""

    key: str
    verdict: str  # reference, recommended, accepted, rejected, undecided or empty
    why: str = ""
    tied_with: tuple[str, ...] = ()


class RunRecord(Record, frozen=True, kw_only=True):
    """One bake-off, as `results.json` holds it (format history: `bakeoff.store`)."""

    created: str
    settings: Settings
    bakeoff: str
    versions: dict[str, str]
    host: Host
    model: Model
    dataset: Dataset | None = None
    reference: str = ""
    offered: tuple[Candidate, ...] = ()  # on request, and not requested: a repair may take them up
    backends: tuple[BackendStatus, ...] = ()
    trials: tuple[Trial, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    timing: dict[str, Any] = {}  # block, groups, quick, threads, generations, seconds
    finished: str | None = None

    def trial(self, key: str) -> Trial:
        """Return the Trial of a Candidate key.

        Raises:
            KeyError: this Run has none.
        """
        for trial in self.trials:
            if trial.candidate.key == key:
                return trial
        raise KeyError(key)
