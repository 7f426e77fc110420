"""Length-prefixed payloads over a pipe."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable

LIMIT = 1 << 30  # bytes of one message; more is rubbish
_LENGTH = struct.Struct(">Q")


class ProtocolError(Exception):
    """The other side sent what is no message."""


def write(fd: int, payload: bytes) -> None:
    """Write one payload."""
    view = memoryview(_LENGTH.pack(len(payload)) + payload)
    while view:
        view = view[os.write(fd, view) :]


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
