"""Trials, and the Run that they belong to."""

from __future__ import annotations

from typing import Any

from bakeoff.records.accuracy import Accuracy, Agreement, CalibrationDraw, OperatingPoint, Parity, RepairAttempt
from bakeoff.records.base import (
    UNKNOWN,
    Artifact,
    Candidate,
    Estimate,
    Failure,
    Model,
    Record,
    SessionFacts,
    Workload,
)
from bakeoff.records.cameras import Cameras
from bakeoff.records.speed import Shapes, Sweep, WarmUp
from bakeoff.records.sustain import Sustained


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
    cold_start_s: float | None = None  # from starting a process to the outputs of its first image
    peak_memory_bytes: int | None = None
    peak_timed_bytes: int | None = None  # the same, all Workloads done
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
    cameras: Cameras | None = None
    sustained: Sustained | None = None
    not_measured: dict[str, str] = {}  # Workload -> why its cell is empty
    built_only: str | None = None  # why an Artifact can't run on this host
    reported: dict[str, float] = {}  # somebody else's figures, by column of `table.csv`; they have no samples
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
    max_memory_bytes: int | None = None  # peak of the process that predicts
    max_size_bytes: int | None = None  # of the Artifact, on disk
    prefer: str = "latency"


class Settings(Record, frozen=True, kw_only=True):
    """Everything that a Run was asked to do; a Run can only be resumed with the same."""

    model: str
    data: str | None = None
    calibration: str | None = None
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()  # paths of those made elsewhere
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
    precision_target: float = 0.02  # half width of a speedup's interval, as a share
    sweep: tuple[Workload, ...] = ()  # the grid that settings of loading are swept over; empty: no sweep
    tune: bool = False  # add the settings that beat the plain form
    shapes: bool = False  # `bakeoff tune`: try shapes, then settings, and recommend one a Workload
    time_budget_s: float = 600.0  # for timed blocks, when intervals are still wider
    cameras_fps: float | None = None  # of each camera; None: not asked
    slo_ms: float | None = None  # of cameras: from the scheduled arrival to Detections
    slo_percentile: float = 99.0
    camera_seconds: float | None = None  # of arrivals a Candidate; None: from the Workloads
    sustain_s: float | None = None
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
    def batches(self) -> tuple[int, ...]:
        """The batch sizes of the Workloads, the commonest first; of equally common ones the smaller."""
        found = [workload.batch for workload in (*self.workloads, *self.sweep)]
        return tuple(sorted(set(found), key=lambda batch: (-found.count(batch), batch)))

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
    cpus_usable: int | None = None  # logical ones: as many threads as can run at once
    gpus: tuple[str, ...] = ()  # names of NVIDIA's, in the driver's order
    gpu_driver: str | None = None  # version

    @classmethod
    def unknown(cls) -> Host:
        """Return what stands for the machine that an imported table was measured on."""
        return cls(
            cpu=None, architecture=UNKNOWN, cores_physical=None, cores_usable=0, instruction_sets=(), memory_bytes=0,
            os=UNKNOWN, kernel=UNKNOWN, python=UNKNOWN, governor=None, container=None, virtual=None, load_1m=None,
        )  # fmt: skip


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
    chances: dict[str, float] = {}  # Requirement -> probability, from the resamples, that the Candidate meets it


class Takeaway(Record, frozen=True, kw_only=True):
    """A conclusion from a Run's figures, drawn by a rule."""

    rule: str
    candidates: tuple[str, ...]
    figures: dict[str, float] = {}
    text: str


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
    takeaways: tuple[Takeaway, ...] = ()
    sweep: tuple[Sweep, ...] = ()  # one for each plain Candidate that was swept or screened
    shapes: tuple[Shapes, ...] = ()  # one for each Candidate that `bakeoff tune` tries shapes and settings of
    judged_again: str | None = None  # when `bakeoff judge` last wrote other Requirements and Verdicts
    imported: str | None = None  # the table of somebody else's figures that this Run was made of
    timing: dict[str, Any] = {}  # block, groups, quick, threads, generations, seconds, ended
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
