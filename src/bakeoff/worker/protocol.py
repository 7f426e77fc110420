"""What parent and child say to each other: one request, one reply, as length-prefixed msgpack over two pipes.

The child's stdout and stderr go to a log file and are no part of this, so a runtime may print what it likes.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

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
    Recipe,
    SessionFacts,
    Workload,
)

LIMIT = 1 << 30  # bytes of one message; more is rubbish
_LENGTH = struct.Struct(">Q")


class ProtocolError(Exception):
    """The other side sent what is no message."""


class Array(msgspec.Struct, frozen=True):
    """A NumPy array on the wire."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def of(cls, array: npt.NDArray[Any]) -> Array:
        """Pack an array."""
        return cls(array.dtype.str, array.shape, np.ascontiguousarray(array).tobytes())

    def get(self) -> npt.NDArray[Any]:
        """Unpack it."""
        return np.frombuffer(self.data, np.dtype(self.dtype)).reshape(self.shape)


class Message(msgspec.Struct, frozen=True, tag=True):
    """Base of requests and replies; the class name is the tag."""


# --- requests


class Probe(Message, frozen=True, kw_only=True):
    """Is this backend usable here, and what would it try for this Model?"""

    backend: str
    host: Host
    model: Model | None = None
    threads: int | None = None  # of a Session by default; `None`: the usable cores
    batches: tuple[int, ...] = ()  # of the Workloads, the commonest first


class Describe(Message, frozen=True, kw_only=True):
    """Read the model file; it stays open for `Export`."""

    path: str
    imgsz: int | None
    trust: bool


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


class Load(Message, frozen=True, kw_only=True):
    """Load an Artifact; the Session stays for what follows."""

    candidate: Candidate
    artifact: Artifact
    model: Model
    threads: int
    device: str


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


Request = (
    Probe | Describe | Export | Convert | Rank | Load | Detect | Evaluate | Emulate | WarmUpFor | Block
    | ServeCameras | Sustain
)  # fmt: skip


# --- what the answers hold


class Probed(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to `Probe`."""

    status: BackendStatus
    candidates: tuple[Candidate, ...] = ()
    shapes: dict[str, tuple[str, ...]] = {}  # a proposed Candidate's key to those of its other shapes


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


# --- replies


class Done(Message, frozen=True, kw_only=True):
    """The answer, still encoded, and the child's peak memory so far."""

    value: msgspec.Raw
    peak_memory_bytes: int | None


class Failed(Message, frozen=True, kw_only=True):
    """The request ended in an exception; `bad_input` marks one that the user can mend."""

    cause: str
    bad_input: bool = False


Reply = Done | Failed

_encode = msgspec.msgpack.Encoder().encode
_decode_request: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_decode_reply: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)


def encode_value(value: object) -> msgspec.Raw:
    """Pack an answer for `Done.value`."""
    return msgspec.Raw(_encode(value))


def send(fd: int, message: Message) -> None:
    """Write one message."""
    payload = _encode(message)
    view = memoryview(_LENGTH.pack(len(payload)) + payload)
    while view:
        view = view[os.write(fd, view) :]


def receive_request(fd: int) -> Request | None:
    """Read one request; `None` when the parent is gone."""
    payload = receive(fd)
    return None if payload is None else _decode_request.decode(payload)


def decode_reply(payload: bytes) -> Reply:
    """Decode one reply.

    Raises:
        ProtocolError: it is none.
    """
    try:
        return _decode_reply.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"not a message: {error}") from error


def receive(fd: int, ready: Callable[[], None] = lambda: None) -> bytes | None:
    """Read one payload; `None` at the end of the pipe. `ready` is called before each read, and may raise.

    Raises:
        ProtocolError: the pipe ends within a message, or its length is absurd.
    """
    head = _read(fd, _LENGTH.size, ready)
    if not head:
        return None
    if len(head) < _LENGTH.size:
        raise ProtocolError("the pipe ended within a message")
    (length,) = _LENGTH.unpack(head)
    if length > LIMIT:
        raise ProtocolError(f"a message of {length} bytes")
    payload = _read(fd, length, ready)
    if len(payload) < length:
        raise ProtocolError("the pipe ended within a message")
    return payload


def _read(fd: int, length: int, ready: Callable[[], None]) -> bytes:
    parts = []
    while length:
        ready()
        part = os.read(fd, min(length, 1 << 20))
        if not part:
            break
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
