"""How messages travel between parent and child: length-prefixed msgpack over two pipes.

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
