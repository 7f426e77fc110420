from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bakeoff.backends import onnxruntime, openvino
from bakeoff.backends.onnxruntime import OnnxRuntime
from bakeoff.backends.openvino import OpenVino
from tests.backends import mask
from tests.backends.networks import Forms, Images, job, load, noise, recipe, write_network
from tests.cli.runner import bakeoff, rows
from tests.shared import DATA, MODEL, needs_shared

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
CPUINFO = Path("/proc/cpuinfo")
CPU_FLAGS = set(CPUINFO.read_text().split()) if CPUINFO.exists() else set()
has_vnni = pytest.mark.skipif(
    CPU_FLAGS.isdisjoint({"avx512_vnni", "avx_vnni"}), reason="this CPU has no VNNI, by /proc/cpuinfo"
)
BACKENDS = {"onnxruntime": OnnxRuntime, "openvino": OpenVino}
CHILD = """
import json, sys
from pathlib import Path
from bakeoff.backends import onnxruntime, openvino
from tests.backends.test_saturation import BACKENDS, convert
folder = Path(sys.argv[1])
how = {name: convert(name, folder)[1].how for name in BACKENDS}
print(json.dumps([onnxruntime.saturates(), openvino.saturates(), how]))
"""


def convert(name, folder, precision="int8", **fields):
    """Convert the small network into INT8 by one backend."""
    path = folder / "network.onnx"
    forms = Forms(path if path.exists() else write_network(path), folder)
    made = job(f"{name}/{precision}/b1", forms, folder, calibration=Images(noise(4)), **fields)
    return made, BACKENDS[name]().convert(made)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    try:
        return mask.build(tmp_path_factory.mktemp("mask"))
    except mask.Unavailable as why:
        pytest.skip(str(why))


@has_vnni
@pytest.mark.parametrize("name", BACKENDS)
def test_nothing_saturates_on_a_cpu_with_vnni(name):
    pytest.importorskip(name)
    assert {"onnxruntime": onnxruntime, "openvino": openvino}[name].probe_error() < 0.01


@pytest.mark.slow
def test_without_vnni_both_probes_say_so_and_conversions_leave_room(library, tmp_path):
    pytest.importorskip("nncf")
    said = json.loads(mask.python(["-c", CHILD, tmp_path], mask.preload(library)).splitlines()[-1])
    assert said[:2] == [True, True]
    assert said[2]["onnxruntime"]["reduce_range"] is True
    assert said[2]["openvino"]["overflow_fix"] == "enable"


@has_vnni
def test_with_vnni_conversions_use_the_full_range(tmp_path):
    pytest.importorskip("nncf")
    assert convert("onnxruntime", tmp_path)[1].how["reduce_range"] is False
    assert convert("openvino", tmp_path)[1].how["overflow_fix"] == "first_layer_only"


def test_openvinos_emulation_is_the_same_graph_in_float(tmp_path):
    pytest.importorskip("nncf")
    made, artifact = convert("openvino", tmp_path)
    session, image = load(OpenVino(), made, artifact), noise(1)
    run, emulated = np.array(session.run(image)[0]), np.array(session.emulate(image)[0])
    # a value on the border between two of 256 levels may fall to either side
    assert np.abs(run - emulated).max() < 0.02 * np.ptp(run)
    assert np.abs(run - emulated).max() > 0


@pytest.mark.parametrize(("precision", "layers"), [("int8", ()), ("int8+fp32", ("b",))])
def test_openvinos_emulation_has_float_kernels_alone(tmp_path, precision, layers):
    pytest.importorskip("nncf")
    fields = {}
    if layers:
        fields["recipe"] = recipe(Forms(write_network(tmp_path / "network.onnx"), tmp_path).model, *layers)
    made, artifact = convert("openvino", tmp_path, precision, **fields)
    session = load(OpenVino(), made, artifact)
    assert session.details["convolutions"]["int8"] == 3 - len(layers)
    assert session._emulating is None, "it must not count as the Session's memory"
    session.emulate(noise(1))
    emulating = session._emulating
    assert emulating.details["convolutions"].keys() == {"fp32"}
    session.emulate(noise(1))
    assert session._emulating is emulating


def test_only_quantised_openvino_sessions_offer_an_emulation(tmp_path):
    pytest.importorskip("openvino")
    forms = Forms(write_network(tmp_path / "network.onnx"), tmp_path)
    made = job("openvino/fp32/b1", forms, tmp_path)
    assert not hasattr(load(OpenVino(), made, OpenVino().convert(made)), "emulate")


@pytest.mark.slow
@needs_shared
@has_vnni
def test_one_file_is_sound_with_vnni_and_named_as_saturating_without(library, tmp_path):
    pytest.importorskip("ultralytics")
    key = "onnxruntime/int8/static"
    options = ("--only", key, "--images", 24, "--calibration-images", 16, "--out", "run")
    done = bakeoff("verify", MODEL, "--data", DATA, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert rows(tmp_path / "run")[key]["status"] == "ok"
    command = ["-m", "tests.backends.own_graph", tmp_path / "run", key]
    native, masked = (json.loads(mask.python(command, under)) for under in (None, mask.preload(library)))
    assert native["says"] is None
    assert native["scores_error"] < 0.02
    assert "8-bit saturation, this CPU has no VNNI" in masked["says"]
