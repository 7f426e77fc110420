from __future__ import annotations

import json
from pathlib import Path

import pytest

from bakeoff import registry
from bakeoff.errors import InputError
from tests.cli.runner import bakeoff
from tests.conftest import write_plugin

FAKE = "from bakeoff.testing import FakeBackend\n\n\nclass Fake(FakeBackend):\n    name = 'other'\n"
WRONG = (
    FAKE
    + """
from bakeoff.records import Candidate


class Stranger(Fake):
    name = "stranger"

    def propose(self, model, host):
        return [Candidate(backend="onnxruntime", precision="fp32", shape="dyn")]


class Shapeless(Fake):
    name = "shapeless"

    def propose(self, model, host):
        return [Candidate(backend=self.name, precision="fp32", shape="any")]


class Raises(Fake):
    name = "raises"

    def propose(self, model, host):
        raise OSError("no such device")


class Broken(Fake):
    name = "broken"

    def probe(self):
        raise OSError("libbroken.so: cannot open shared object file")


class Dies(Fake):
    name = "dies"

    def probe(self):
        import os
        os.abort()
"""
)


def test_built_in_backends_come_first():
    assert registry.names()[:4] == ["pytorch", "torchscript", "onnxruntime", "openvino"]


def test_an_unknown_backend_names_the_nearest():
    with pytest.raises(InputError, match="'openvno' not found; did you mean 'openvino'"):
        registry.load("openvno")


def test_two_packages_with_one_name_are_an_error_that_names_both(plugin):
    plugin("squatter", FAKE, {"openvino": "Fake"})
    with pytest.raises(InputError, match=r"'openvino' is registered twice, by .*(squatter|OpenVino).*remove one"):
        registry.names()


def test_a_module_that_cannot_be_imported_is_named(plugin):
    plugin("absent", "import no_such_runtime\n", {"absent": "Fake"})
    with pytest.raises(InputError, match="'absent' cannot be imported: ModuleNotFoundError"):
        registry.load("absent")


@pytest.mark.slow
def test_broken_backends_are_listed_as_unusable_with_the_reason_and_disturb_no_other(tmp_path: Path, tiny_model):
    names = {"wrong": "Fake", "stranger": "Stranger", "shapeless": "Shapeless", "raises": "Raises"}
    names |= {"broken": "Broken", "dies": "Dies", "absent": "Absent"}
    site = write_plugin(tmp_path / "site", "thirdparty", WRONG, names)
    done = bakeoff("backends", "--json", cwd=tmp_path, plugins=[site])
    assert done.returncode == 0, done.stderr
    reasons = {status["name"]: status["cannot_run"] for status in json.loads(done.stdout)}
    assert reasons["onnxruntime"] is None
    assert "registered as 'wrong'" in reasons["wrong"]
    assert "libbroken.so" in reasons["broken"]
    assert "SIGABRT" in reasons["dies"]
    assert "cannot be imported" in reasons["absent"]
    done = bakeoff("plan", tiny_model, "--json", cwd=tmp_path, plugins=[site])
    assert done.returncode == 0, done.stderr
    keys = [row["candidate"] for row in json.loads(done.stdout)]
    assert keys.count("onnxruntime/fp32/dyn") == 1
    assert not any(key.startswith(("shapeless", "stranger", "raises")) for key in keys)
