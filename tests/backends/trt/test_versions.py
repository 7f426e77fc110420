"""The table of what each version of TensorRT can do, held against the modules that install here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bakeoff.backends.trt.versions import (
    AMPERE_PLUS,
    GENERATIONS,
    RTX,
    SAME_CAPABILITY,
    TENSORRT,
    generation,
    parsed,
)
from tests.backends.trt import graphs


@pytest.mark.parametrize(
    ("version", "weak", "implicit", "flag", "dla", "levels", "opset"),
    [
        ("10.3.0", True, True, True, True, 1, 20),  # JetPack 6.1 and 6.2
        ("10.7.0.23", True, True, True, True, 1, 20),
        ("10.13.3.9", True, True, True, False, 2, 20),
        ("10.16.1", True, True, True, False, 2, 24),
        ("11.1.0", False, False, False, False, 2, 24),
        ("11.4.1.5", False, False, False, True, 2, 24),
        ("12.0.0", False, False, False, True, 2, 24),  # unknown yet: as the newest known
    ],
)
def test_a_version_of_tensorrt_has_what_its_generation_has(version, weak, implicit, flag, dla, levels, opset):
    row = generation(TENSORRT, version)
    assert (row.weak_typing, row.implicit_int8, row.strong_flag, row.fast_flags) == (weak, implicit, flag, flag)
    assert (row.dla, len(row.hardware_levels), row.opset) == (dla, levels, opset)
    assert row.progress
    assert row.needs_gpu
    assert row.timing_cache
    assert row.version_compatible
    assert not row.user_allocation
    assert row.targets == ()


@pytest.mark.parametrize(("version", "targets"), [("1.4.0.76", 5), ("1.7.1.116", 6)])
def test_tensorrt_rtx_builds_without_a_gpu_for_named_targets_and_has_nothing_classical(version, targets):
    row = generation(RTX, version)
    classical = (row.weak_typing, row.implicit_int8, row.strong_flag, row.fast_flags, row.dla)
    assert not any((*classical, row.needs_gpu, row.timing_cache, row.version_compatible, row.hardware_levels))
    assert row.user_allocation
    assert len(row.targets) == targets
    assert "9.0" not in row.targets


@pytest.mark.parametrize("version", ["8.6.2.3", "8.5.2", "9.3.0", "10.0.1", "10.2.0"])
def test_an_old_tensorrt_is_refused_in_one_line_that_says_what_to_upgrade(version):
    with pytest.raises(ValueError, match=r"JetPack 5 or 6.0 to 6.1 or newer") as error:
        generation(TENSORRT, version)
    assert f"TensorRT {version} is too old, bakeoff needs 10.3 or newer" in str(error.value)
    assert "\n" not in str(error.value)


def test_an_old_tensorrt_rtx_is_refused_with_the_command_that_upgrades_it():
    with pytest.raises(ValueError, match=r"TensorRT-RTX 1.2.0 is too old.*pip install -U 'bakeoff\[tensorrt-rtx\]'"):
        generation(RTX, "1.2.0")


def test_rows_stand_in_the_order_of_versions():
    for rows in GENERATIONS.values():
        assert [row.since for row in rows] == sorted(row.since for row in rows)


def test_the_table_in_the_docs_is_the_one_that_choices_are_made_from():
    page = (Path(__file__).parents[3] / "docs" / "tensorrt.md").read_text()
    told = {
        cells[0]: cells[1:]
        for cells in ([cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines())
        if re.fullmatch(r"tensorrt(_rtx)? [0-9.]+", cells[0])
    }
    words = {AMPERE_PLUS: "hw", SAME_CAPABILITY: "hwcc"}
    expected = {
        f"{module} {'.'.join(map(str, row.since))}": [
            *("yes" if value else "no" for value in (row.weak_typing, row.implicit_int8, row.dla)),
            " ".join(words[level] for level in row.hardware_levels) or "no",
            *("yes" if value else "no" for value in (row.version_compatible, row.timing_cache)),
            *("yes" if value else "no" for value in (row.user_allocation, not row.needs_gpu)),
            str(row.opset),
        ]
        for module, rows in GENERATIONS.items()
        for row in rows
    }
    assert told == expected


def test_what_is_no_version_is_refused():
    with pytest.raises(ValueError, match="'latest' is no version"):
        parsed("latest")


def test_the_row_of_the_installed_tensorrt_rtx_is_true_of_the_module():
    trt = graphs.rtx()
    row = generation(RTX, trt.__version__)
    assert row.weak_typing == hasattr(trt.BuilderFlag, "FP16")
    assert row.implicit_int8 == hasattr(trt, "IInt8EntropyCalibrator2")
    assert row.fast_flags == hasattr(trt.Builder, "platform_has_fast_fp16")
    assert row.progress == hasattr(trt, "IProgressMonitor")
    assert row.user_allocation == hasattr(trt.BuilderFlag, "REQUIRE_USER_ALLOCATION")
    names = {f"SM{target.replace('.', '')}" for target in row.targets}
    assert names == {name for name in trt.ComputeCapability.__members__ if name.startswith("SM")}
    network = trt.Builder(trt.Logger(trt.Logger.ERROR)).create_network(0)
    assert row.strong_flag != network.get_flag(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
