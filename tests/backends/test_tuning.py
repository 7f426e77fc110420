"""Settings of loading: each is in force, none changes what is computed, and what is not in force is an error."""

from __future__ import annotations

import os

import msgspec
import numpy as np
import pytest

from bakeoff import host, models
from bakeoff.backend import ConvertJob, LoadJob, thread_counts, tuning_of
from bakeoff.backends.onnxruntime import OnnxRuntime
from bakeoff.backends.openvino import OpenVino
from bakeoff.backends.pytorch import PyTorch
from bakeoff.backends.torchscript import TorchScript
from bakeoff.records import Candidate
from bakeoff.testing import _Forms
from tests import tiny

FOUR = msgspec.structs.replace(host.describe(), cores_usable=4, cpus_usable=8)
IN_FORCE = [
    (OnnxRuntime, "t1", {"threads": 1, "spinning": True}),
    (OnnxRuntime, "t3", {"threads": 3, "spinning": True}),
    (OnnxRuntime, "nospin", {"threads": 2, "spinning": False}),
    (OnnxRuntime, "t1/nospin", {"threads": 1, "spinning": False}),
    (OpenVino, "t1", {"threads": 1, "streams": 1, "hint": "LATENCY"}),
    (OpenVino, "s1", {"threads": 1, "streams": 1}),
    (OpenVino, "throughput", {"hint": "THROUGHPUT"}),
    (OpenVino, "nopin", {"pinning": False}),
    (OpenVino, "t1/nopin", {"threads": 1, "pinning": False}),
    (PyTorch, "t1", {"threads": 1}),
    (PyTorch, "t3", {"threads": 3}),
    (TorchScript, "t1", {"threads": 1}),
    (TorchScript, "t3", {"threads": 3}),
]
KEYS = [f"{backend.name}/{tuning}" for backend, tuning, _ in IN_FORCE]


class Forms:
    """The tiny detector as ONNX, and another one, as a PyTorch module."""

    def __init__(self, onnx):
        self.onnx, self.model = onnx.onnx, onnx.model

    def torch_module(self):
        import torch

        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Conv2d(3, 6, 8, 8), torch.nn.Flatten(2)).eval()


@pytest.fixture(scope="module")
def forms(tiny_model, tmp_path_factory):
    return Forms(_Forms(models.open_model(tiny_model, imgsz=None), tmp_path_factory.mktemp("forms")))


@pytest.fixture(scope="module")
def made(forms, tmp_path_factory):
    """The plain Candidate and its Artifact of each backend."""
    found = {}
    for backend in (OnnxRuntime(), OpenVino(), PyTorch(), TorchScript()):
        shape = "static" if backend.name == "torchscript" else "dyn"
        candidate = Candidate(backend=backend.name, precision="fp32", shape=shape)
        folder = tmp_path_factory.mktemp(backend.name)
        found[backend.name] = (
            candidate,
            backend.convert(ConvertJob(candidate=candidate, model=forms, folder=folder, batches=(1,))),
        )
    return found


@pytest.fixture(autouse=True)
def same_torch_threads():
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def load(backend, made, forms, tuning="", threads=2):
    candidate, artifact = made[backend.name]
    candidate = msgspec.structs.replace(candidate, tuning=tuple(tuning.split("/")) if tuning else ())
    job = LoadJob(candidate=candidate, artifact=artifact, model=forms, threads=candidate.threads or threads)
    return backend().load(job)


@pytest.mark.parametrize(("backend", "tuning", "details"), IN_FORCE, ids=KEYS)
def test_a_setting_is_in_force_and_changes_no_output(backend, tuning, details, made, forms):
    images = np.random.default_rng(0).random((1, 3, tiny.IMGSZ, tiny.IMGSZ), np.float32)
    threads = 1 if tuning == "s1" else 2
    with load(backend, made, forms, threads=threads) as session:
        expected = np.array(session.run(images)[0])
    with load(backend, made, forms, tuning, threads) as session:
        assert {name: session.details[name] for name in details} == details
        assert np.allclose(session.run(images)[0], expected, rtol=1e-4, atol=1e-3)


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts threads through /proc")
def test_onnx_runtime_starts_as_many_threads_as_asked_for(made, forms):
    started = {}
    for tuning in ("t1", "t2", "t3"):
        before = len(os.listdir("/proc/self/task"))
        with load(OnnxRuntime, made, forms, tuning):
            started[tuning] = len(os.listdir("/proc/self/task")) - before
    assert started["t2"] - started["t1"] == 1  # the caller's own thread is the first
    assert started["t3"] - started["t1"] == 2


@pytest.mark.skipif(host.usable_cpus() < 2, reason="two streams need two CPUs")
def test_openvino_streams_are_in_force(made, forms):
    with load(OpenVino, made, forms, "s2") as session:
        assert session.details["streams"] == 2


@pytest.mark.parametrize("backend", [OnnxRuntime, OpenVino, PyTorch, TorchScript])
@pytest.mark.parametrize("tuning", ["fast", "t", "t0", "t1x", "z3"])
def test_an_unknown_setting_is_an_error_that_names_those_there_are(backend, tuning, made, forms):
    with pytest.raises(ValueError, match=rf"{backend.name}/.*no setting '{tuning}'; it has tN"):
        load(backend, made, forms, tuning)


def test_a_setting_given_twice_is_an_error(made, forms):
    with pytest.raises(ValueError, match="the setting 'nospin' is given twice"):
        load(OnnxRuntime, made, forms, "nospin/nospin")


def test_a_setting_that_the_runtime_does_not_take_over_is_an_error(made, forms):
    more = 64 * host.usable_cpus()  # OpenVINO silently takes as many as it likes
    with pytest.raises(RuntimeError, match=rf"openvino/fp32/dyn/s{more} asks for streams = {more}, but 1 is in force"):
        load(OpenVino, made, forms, f"s{more}", threads=1)
    with pytest.raises(RuntimeError, match=rf"openvino/fp32/dyn/t{more} asks for threads = {more}, but"):
        load(OpenVino, made, forms, f"t{more}")


def test_threads_other_than_the_key_names_are_refused(made, forms):
    candidate, artifact = made["onnxruntime"]
    tuned = msgspec.structs.replace(candidate, tuning=("t4",))
    with pytest.raises(ValueError, match="onnxruntime/fp32/dyn/t4 loads with 4 threads, not 2"):
        LoadJob(candidate=tuned, artifact=artifact, model=forms, threads=2)


def test_thread_counts_are_powers_of_two_and_all_there_is_but_the_default():
    assert thread_counts(FOUR, 4) == [1, 2, 8]
    assert thread_counts(FOUR, 3) == [1, 2, 4, 8]
    six = msgspec.structs.replace(FOUR, cores_usable=6, cpus_usable=12)
    assert thread_counts(six, 6) == [1, 2, 4, 8, 12]
    unknown = msgspec.structs.replace(FOUR, cores_usable=2, cpus_usable=None)
    assert thread_counts(unknown, 2) == [1]
    assert thread_counts(msgspec.structs.replace(FOUR, cores_usable=1, cpus_usable=1), 1) == []


@pytest.mark.parametrize("backend", [OnnxRuntime, OpenVino, PyTorch, TorchScript])
def test_each_offered_setting_is_another_than_the_default_and_offered_once(backend, made):
    candidate, _ = made[backend.name]
    offered = ["/".join(parts) for parts in backend().tunings(candidate, FOUR, 4)]
    assert len(offered) == len(set(offered))
    assert {"t1", "t2"} <= set(offered)
    assert "t4" not in offered


def test_onnx_runtime_offers_spinning_off_with_several_threads_and_openvino_streams(made):
    candidate, _ = made["onnxruntime"]
    offered = ["/".join(parts) for parts in OnnxRuntime().tunings(candidate, FOUR, 4)]
    assert offered == ["t1", "t2", "t8", "nospin", "t2/nospin"]
    streams = ["/".join(parts) for parts in OpenVino().tunings(made["openvino"][0], FOUR, 4)]
    assert streams == ["t1", "t2", "s2", "s4", "throughput", "nopin", "s2/nopin", "s4/nopin"]


def test_the_parts_of_a_setting_are_read_by_name():
    candidate = Candidate(backend="x", precision="fp32", shape="dyn", tuning=("s2", "t12", "nopin"))
    assert tuning_of(candidate, numbers=("s", "t"), words=("nopin",)) == {"s": 2, "t": 12, "nopin": 1}
    assert candidate.threads == 12
    assert candidate.plain.threads is None
    assert candidate.key == "x/fp32/dyn/s2/t12/nopin"
