from __future__ import annotations

import os
import struct

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bakeoff.worker import wire


def over_pipe(data: bytes) -> bytes | None:
    reader, writer = os.pipe()
    try:
        os.write(writer, data)
        os.close(writer)
        return wire.receive(reader)
    finally:
        os.close(reader)


def test_a_closed_pipe_reads_as_none():
    assert over_pipe(b"") is None


@pytest.mark.parametrize("data", [b"\0\0\0", struct.pack(">Q", 10) + b"short"])
def test_a_pipe_that_ends_within_a_message_is_an_error(data):
    with pytest.raises(wire.ProtocolError, match="within a message"):
        over_pipe(data)


def test_an_absurd_length_is_an_error_and_allocates_nothing():
    with pytest.raises(wire.ProtocolError, match="bytes"):
        over_pipe(struct.pack(">Q", 1 << 62))


@given(st.binary(max_size=200))
def test_rubbish_is_a_protocol_error_or_a_reply_and_nothing_else(data):
    try:
        reply = wire.decode_reply(data)
    except wire.ProtocolError:
        return
    assert isinstance(reply, (wire.Done, wire.Failed))


@given(hnp.arrays(st.sampled_from([np.float32, np.int32, np.int64]), hnp.array_shapes(min_side=0, max_dims=3)))
def test_an_array_comes_back_as_it_was_sent(array):
    packed = msgspec.msgpack.decode(msgspec.msgpack.encode(wire.Array.of(array)), type=wire.Array)
    again = packed.get()
    assert again.dtype == array.dtype
    assert np.array_equal(again, array, equal_nan=array.dtype == np.float32)
