"""A simulated GPU, at whose end all must have been given back."""

from __future__ import annotations

import gc

import pytest

from bakeoff.backends.trt import cuda
from tests.backends.trt.fake_cuda import FakeCuda


@pytest.fixture
def gpu(monkeypatch):
    fake = FakeCuda()
    monkeypatch.setattr(cuda, "runtime", lambda: fake)
    yield fake
    gc.collect()
    assert not fake.live, "something was not given back"
