"""What parent and child say to each other: one request, one reply; `wire` carries them."""

from __future__ import annotations

import msgspec

from bakeoff.records import (
    Accuracy,
    Agreement,
    Artifact,
    BackendStatus,
    Candidate,
    Estimate,
    GroupParity,
    Host,
    Model,
    OperatingPoint,
    Parity,
    Prediction,
    Problem,
    Recipe,
    SessionFacts,
    Source,
    Workload,
)
from bakeoff.worker.wire import Array, Message, receive

# --- requests


class Probe(Message, frozen=True, kw_only=True):
    """Is this backend usable here, and what would it try for this Model?"""

    backend: str
    host: Host
    model: Model | None = None
    threads: int | None = None  # of a Session by default; `None`: the usable cores
    batches: tuple[int, ...] = ()  # of the Workloads, the commonest first
    device: str | None = None  # asked for; `None`: the one that the backend is made for


class Adopt(Message, frozen=True, kw_only=True):
    """Does this backend take this Artifact, made elsewhere for this Model?"""

    backend: str
    path: str
    name: str  # option that the Candidate gets
    model: Model | None  # `None`: the one that the Artifact itself tells of, with what follows
    host: Host
    threads: int  # of a Session by default
    imgsz: int | None = None
    class_names: tuple[str, ...] = ()


class Describe(Message, frozen=True, kw_only=True):
    """Read the model file; it stays open for `Export`."""

    path: str
    imgsz: int | None
    trust: bool
    inspect: bool = False  # it is to be looked at, not converted


class Export(Message, frozen=True, kw_only=True):
    """Write the Model as ONNX."""

    batch: int | None
    opset: int
    path: str


class CalibrationSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Which images an INT8 conversion gets."""

    images: tuple[str, ...]
    preset: str
    seed: int


class OnnxFile(msgspec.Struct, frozen=True, kw_only=True):
    """An ONNX form of the Model that exists already, and the seconds it took."""

    batch: int | None
    opset: int
    path: str
    export_s: float


class Convert(Message, frozen=True, kw_only=True):
    """Convert the Model for one Candidate."""

    candidate: Candidate
    model: Model
    folder: str
    batches: tuple[int, ...]
    onnx: tuple[OnnxFile, ...]
    calibration: CalibrationSpec | None = None
    recipe: Recipe | None = None


class Rank(Message, frozen=True, kw_only=True):
    """Rank the Model's layers by the error that quantising each alone brings in."""

    backend: str
    model: Model
    folder: str
    onnx: tuple[OnnxFile, ...]
    calibration: CalibrationSpec


class Check(Convert, frozen=True, kw_only=True):
    """What would go wrong in this conversion?"""


class Load(Message, frozen=True, kw_only=True):
    """Load an Artifact; the Session stays for what follows."""

    candidate: Candidate
    artifact: Artifact
    model: Model
    threads: int
    device: str | None  # `None`: the one that the backend is made for


class Detect(Message, frozen=True, kw_only=True):
    """Predict images `start` to `stop` of the frame cache, with the thresholds of accuracy."""

    cache: str
    start: int
    stop: int
    heads: str | None = None  # folder of the reference's raw outputs, for parity
    is_reference: bool = False  # write them, instead of comparing with them


class Evaluate(Message, frozen=True, kw_only=True):
    """Score all that was detected since loading, and keep the detections in the Run's folder."""

    cache: str
    run: str  # the Run's folder: its samples hold the truth and the reference's detections, and get these
    candidate: Candidate
    class_names: tuple[str, ...]
    seed: int
    labels: bool
    reference: str | None  # its key; `None` for the reference itself
    reference_accuracy: Accuracy | None
    confidence: float | None  # of the operating point; `None`: to be found on the reference
    keep: bool


class Emulate(Message, frozen=True, kw_only=True):
    """Hold a quantised Session's outputs on the first images against the float emulation of its own graph."""

    cache: str
    images: int


class WarmUpFor(Message, frozen=True, kw_only=True):
    """Run a Workload until it gets no faster."""

    cache: str
    workload: Workload
    confidence: float


class Block(Message, frozen=True, kw_only=True):
    """Time one block of a Workload."""

    cache: str
    workload: Workload
    confidence: float
    first_frame: int
    count: int


class ServeCameras(Message, frozen=True, kw_only=True):
    """Let the frames of some cameras come on schedule, and serve them with S streams."""

    cache: str
    confidence: float
    streams: int
    cameras: int
    interval_ns: int
    frames: int  # of each camera
    seed: tuple[int, ...]  # of their phases


class Sustain(Message, frozen=True, kw_only=True):
    """Predict 1x1 back to back for so long."""

    cache: str
    confidence: float
    seconds: float
    first_frame: int


class WriteScript(Message, frozen=True, kw_only=True):
    """Write a `predict.py` for an Artifact, whose folder is absolute; the answer is whether its backend offers one."""

    candidate: Candidate
    artifact: Artifact
    model: Model
    confidence: float
    path: str


class OpenSources(Message, frozen=True, kw_only=True):
    """Predict the frames of these sources from now on, one at each `NextFrame`."""

    sources: tuple[Source, ...]
    confidence: float
    draw: str | None  # folder for frames with boxes on them


class NextFrame(Message, frozen=True, kw_only=True):
    """Predict the next frame."""


Request = (
    Probe | Adopt | Describe | Export | Convert | Rank | Check | Load | Detect | Evaluate | Emulate | WarmUpFor | Block
    | ServeCameras | Sustain | OpenSources | NextFrame | WriteScript
)  # fmt: skip


# --- what the answers hold


class Probed(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to `Probe`."""

    status: BackendStatus
    candidates: tuple[Candidate, ...] = ()
    shapes: dict[str, tuple[str, ...]] = {}  # a proposed Candidate's key to those of its other shapes


class Adoption(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to `Adopt`."""

    takes: str | None = None  # what the backend takes, in words; `None`: nothing made elsewhere
    candidates: tuple[Candidate, ...] = ()  # the Artifact's own first, then its settings of loading
    model: Model | None = None  # that it is of
    refusal: str | None = None  # why an Artifact of the kind that it takes can't be had


class Converted(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to `Convert`: an Artifact, or the ONNX form that must be exported first."""

    artifact: Artifact | None = None
    seconds: float = 0.0
    needs_batch: int | None = None
    needs_opset: int | None = None


class Ranked(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to `Rank`: a Recipe, or the ONNX form that must be exported first."""

    recipe: Recipe | None = None
    needs_batch: int | None = None
    needs_opset: int | None = None


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to `Check`: problems, `None` where the Backend offers no check, or the ONNX form to be exported first."""

    problems: tuple[Problem, ...] | None = None
    needs_batch: int | None = None
    needs_opset: int | None = None


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to `Load`."""

    facts: SessionFacts
    seconds: float


class Detected(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to `Detect`: the health of the raw outputs on these images. The detections stay with the child."""

    first_run_ns: int
    score_low: float  # over all class scores of these images
    score_high: float
    nan_outputs: tuple[str, ...]  # e.g. "output 0, boxes"
    boxes_vary: bool  # whether the boxes of any two images seen so far differ
    parity: Parity | None = None  # of all images compared with the reference so far; `None`: none was


class Evaluated(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to `Evaluate`: what a Trial keeps of it, by the Trial's names."""

    accuracy: Accuracy | None = None
    map_delta: Estimate | None = None
    map50_delta: Estimate | None = None
    precision_delta: Estimate | None = None
    recall_delta: Estimate | None = None
    operating_point: OperatingPoint | None = None
    agreement: Agreement | None = None
    parity: Parity | None = None


class Emulated(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to `Emulate`; empty where the Session can't."""

    groups: tuple[GroupParity, ...] = ()
    saturates: bool | None = None  # whether 8-bit sums saturate in this runtime on this CPU, by a probe


class Warmed(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to `WarmUpFor`."""

    block_medians_ns: tuple[float, ...]
    settled: bool


class Timed(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to `Block`: durations (streams, count) and each stream's wall time (streams,), nanoseconds."""

    pre_ns: Array
    run_ns: Array
    post_ns: Array
    span_ns: Array
    rest_ns: int  # how long the process's threads kept running afterwards


class ServedCameras(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to `ServeCameras`: the fields of `speed.arrivals.Served`."""

    phase_ns: Array
    wait_ns: Array
    latency_ns: Array
    slept: Array


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to `Sustain`: latency of each prediction (n,) and the wall time of all, nanoseconds."""

    latency_ns: Array
    span_ns: int


class Predicted(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to `NextFrame`."""

    prediction: Prediction | None = None  # `None`: no frame is left
    unread: tuple[str, ...] = ()  # what could not be read since the last answer, a line a source
    dropped: int = 0  # frames of a live source that came and went since the last answer
    decode_ns: int | None = None  # `None`: a live source
    pre_ns: int = 0
    run_ns: int = 0
    post_ns: int = 0
    draw_ns: int | None = None


_decode_request: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)


def receive_request(fd: int) -> Request | None:
    """Read one request; `None` when the parent is gone."""
    payload = receive(fd)
    return None if payload is None else _decode_request.decode(payload)
