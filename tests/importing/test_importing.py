"""Which row is the reference, and what a Run of a table knows."""

from __future__ import annotations

import pytest

from bakeoff import importing
from bakeoff.errors import InputError

TABLE = "label,verdict,latency_1x1_ms\nPyTorch FP32 dynamic,,10\nTensorRT FP16 dynamic,,5\n"


@pytest.fixture
def run(tmp_path):
    def read(content=TABLE, reference=None):
        path = tmp_path / "t.csv"
        path.write_text(content)
        return importing.read(path, reference=reference)[0]

    return read


def test_the_first_row_is_the_reference_unless_one_says_so_or_is_asked_for(run):
    assert run().reference == "pytorch/fp32/dyn"
    said = TABLE.replace("TensorRT FP16 dynamic,", "TensorRT FP16 dynamic,reference")
    assert run(said).reference == "tensorrt/fp16/dyn"
    for name in ("tensorrt/fp16/dyn", "TensorRT FP16 dynamic"):
        assert run(reference=name).reference == "tensorrt/fp16/dyn"
        assert run(reference=name).trials[0].candidate.key == "tensorrt/fp16/dyn", "the reference stands first"
    assert run(said, reference="pytorch/fp32/dyn").reference == "pytorch/fp32/dyn"


@pytest.mark.parametrize(
    ("content", "reference", "says"),
    [
        (TABLE, "tensort/fp16/dyn", "did you mean 'tensorrt/fp16/dyn'"),
        (TABLE.replace(",,", ",reference,"), None, "lines 2, 3 all say verdict reference"),
        (TABLE.replace("10", "-"), None, "line 2: the reference, 'PyTorch FP32 dynamic', has no figures"),
    ],
)
def test_no_reference_is_an_error_that_says_what_to_do(run, content, reference, says):
    with pytest.raises(InputError, match=says):
        run(content, reference)


def test_nothing_of_this_machine_stands_in_the_run(run):
    found = run()
    assert found.versions == {}
    assert (found.host.cpu, found.host.architecture, found.host.os) == (None, "unknown", "unknown")
    assert (found.model.format, found.model.sha256, found.dataset) == ("unknown", "", None)
    assert [str(one) for one in found.settings.workloads] == ["1x1"]
    assert (found.settings.speed, found.settings.accuracy) == (True, False)
