"""The Session on a real GPU, with a stand-in engine from a PyTorch network; benchmarks/trt_session.py has more."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from bakeoff.backends.trt import cuda
from bakeoff.backends.trt.session import open_session
from tests.backends.trt import standin

torch = pytest.importorskip("torch")
pytest.importorskip("cuda.bindings.runtime")
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU here")

CLOSE = 1e-4  # of the largest value


@pytest.fixture(scope="module")
def network():
    torch.backends.cudnn.allow_tf32 = False
    return standin.yolo_like(layers=4).cuda()


def opened(network, tuning=(), **how):
    log = standin.Log()
    engine = standin.torch_engine(network, ((1, 1, 2),), log, **how)
    return open_session(standin.module(engine), b"", standin.job(tuning=tuning), log=log, precision="fp32")


def images_of(batch=1, seed=0):
    return np.random.default_rng(seed).random((batch, 3, standin.SIDE, standin.SIDE), np.float32)


def right(session, network, batch, seed):
    images = images_of(batch, seed)
    with torch.inference_mode():
        expected = network(torch.from_numpy(images).cuda()).cpu().numpy()
    (output,) = session.run(images)
    return output.shape == expected.shape and np.abs(output - expected).max() <= CLOSE * np.abs(expected).max()


@pytest.mark.parametrize("tuning", [(), ("nograph",), ("nospin",)], ids="/".join)
def test_predictions_are_pytorchs(network, tuning):
    with opened(network, tuning) as session:
        assert session.details["cuda_graph"].startswith("no" if "nograph" in tuning else "yes")
        assert session.details["wait"] == ("sleep" if "nospin" in tuning else "spin")
        assert all(right(session, network, batch, seed) for seed, batch in enumerate((1, 2, 1, 2)))


def test_a_refused_capture_says_why_and_predicts_without(network):
    with opened(network, waits=True) as session:
        assert "cudaErrorStreamCaptureUnsupported" in session.details["cuda_graph"]
        assert all(right(session, network, batch, seed) for seed, batch in enumerate((1, 2)))


def test_four_threads_get_the_outputs_of_their_own_images(network):
    with opened(network) as session, ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda seed: all(right(session, network, 1, seed) for _ in range(10)), range(4))
        assert all(found)


def test_a_closed_session_gives_the_gpus_memory_back(network):
    def free():
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        return cuda.memory_bytes()[0]

    opened(network).__exit__()
    before = free()
    for _ in range(3):
        opened(network).__exit__()
    assert before - free() < 4e6
