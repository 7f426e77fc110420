"""Other shapes of the built-in runtimes: which are offered, that they take their batches and compute the same."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from bakeoff import host, models
from bakeoff.backend import ConvertJob, LoadJob, other_shapes
from bakeoff.backends.onnxruntime import OnnxRuntime
from bakeoff.backends.openvino import OpenVino
from bakeoff.records import Candidate
from bakeoff.testing import FakeBackend, _Forms, check_backend
from tests import tiny

BACKENDS = (OnnxRuntime, OpenVino)


def candidate(shape: str) -> Candidate:
    return Candidate(backend="x", precision="fp32", shape=shape, options=("option",))


@pytest.mark.parametrize(
    ("shape", "batches", "others"),
    [
        ("dyn", (1, 2), ["static", "b1"]),
        ("static", (1, 2), ["b1", "dyn"]),
        ("b1", (2, 1), ["static", "dyn"]),
        ("dyn", (1,), ["static"]),  # with batches of 1 alone, b1 is the same thing
        ("static", (1,), ["dyn"]),
        ("b1", (1,), ["dyn"]),
    ],
)
def test_the_other_shapes_are_offered_each_thing_once(shape, batches, others):
    found = other_shapes(candidate(shape), batches)
    assert [one.shape for one in found] == others
    assert {(one.options, one.on_request) for one in found} == {(("option",), True)}


@pytest.fixture(scope="module")
def forms(tiny_model, tmp_path_factory):
    return _Forms(models.open_model(tiny_model, imgsz=None), tmp_path_factory.mktemp("forms"))


@pytest.mark.parametrize("kind", BACKENDS)
def test_every_shape_takes_its_batches_and_computes_the_same(kind, forms, tmp_path):
    pytest.importorskip(kind.name)
    backend = kind()
    plain = backend.propose(forms.model, host.describe())[0]
    images = np.random.default_rng(0).random((2, 3, tiny.IMGSZ, tiny.IMGSZ), np.float32)
    outputs = {}
    for one in (plain, *backend.shapes(plain, (1, 2))):
        folder = tmp_path / one.slug
        folder.mkdir()
        artifact = backend.convert(ConvertJob(candidate=one, model=forms, folder=folder, batches=(1, 2)))
        with backend.load(LoadJob(candidate=one, artifact=artifact, model=forms, threads=1)) as session:
            assert session.precision == "fp32"
            alone = np.array(session.run(images[:1])[0])
            if one.takes(2):
                both = np.array(session.run(images)[0])
                assert np.allclose(both[:1], alone, atol=1e-4)
        outputs[one.shape] = alone
    assert set(outputs) == {"static", "b1", "dyn"}
    assert all(np.allclose(one, outputs["dyn"], atol=1e-4) for one in outputs.values())


def test_openvino_compiles_a_static_shape_for_each_batch_from_one_file(forms, tmp_path):
    pytest.importorskip("openvino")
    backend = OpenVino()
    static = msgspec.structs.replace(backend.propose(forms.model, host.describe())[0], shape="static")
    artifact = backend.convert(ConvertJob(candidate=static, model=forms, folder=tmp_path, batches=(1, 3)))
    assert sorted(Path(file.path).name for file in artifact.files) == ["metadata.yaml", "model.bin", "model.xml"]
    with backend.load(LoadJob(candidate=static, artifact=artifact, model=forms, threads=1)) as session:
        shapes = {b: one.input(0).get_partial_shape()[0].get_length() for b, one in session._models.items()}
        assert shapes == {1: 1, 3: 3}
        with pytest.raises(KeyError):
            session.run(np.zeros((2, 3, tiny.IMGSZ, tiny.IMGSZ), np.float32))


class _Shapes(FakeBackend):
    offered: tuple[str, ...] = ("static",)

    def shapes(self, candidate, batches):
        return [msgspec.structs.replace(candidate, shape=shape) for shape in self.offered]


class Good(_Shapes):
    pass


class BadShape(_Shapes):
    offered = ("any",)


class OtherPrecision(_Shapes):
    def shapes(self, candidate, batches):
        return [msgspec.structs.replace(candidate, precision="fp16")]


class Twisted(_Shapes):
    """In the other shape its images change places."""

    def load(self, job):
        session = super().load(job)
        run = session.run
        if job.candidate.shape == "static":
            session.run = lambda images: run(images[::-1])
        return session


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        (Good(), None),
        (BadShape(), "is not static, dyn, bN or dMIN-MAX"),
        (OtherPrecision(), "differs in more than its shape"),
        (Twisted(), "fake/fp32/static: an image in a batch of 2 gives another output than alone"),
    ],
)
def test_the_suite_checks_other_shapes_too(backend, said, tiny_model, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(".")
    problems = check_backend(backend, tiny_model, folder=tmp_path)
    assert problems == [] if said is None else any(said in problem for problem in problems), problems
