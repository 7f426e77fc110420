"""Keys of TensorRT Candidates: profiles, options, and what a version lacks."""

from __future__ import annotations

import pytest

from bakeoff.backends.trt.options import Profile, check, options_of, profiles_of
from bakeoff.backends.trt.versions import RTX, TENSORRT, generation
from bakeoff.records import Candidate

OLD, NEW, ON_RTX = generation(TENSORRT, "10.3.0"), generation(TENSORRT, "11.1.0"), generation(RTX, "1.7.1")


def candidate(key: str) -> Candidate:
    backend, precision, shape, *options = key.split("/")
    return Candidate(backend=backend, precision=precision, shape=shape, options=tuple(options))


@pytest.mark.parametrize(
    ("key", "batches", "profiles"),
    [
        ("tensorrt/fp32/b1", (1, 2), [(1, 1, 1)]),
        ("tensorrt/fp32/d1-2", (1, 2), [(1, 1, 2)]),
        ("tensorrt/fp32/d1-2/opt2", (1, 2), [(1, 2, 2)]),
        ("tensorrt/fp32/d1-2/profiles", (1, 2), [(1, 1, 1), (2, 2, 2)]),
        ("tensorrt/fp32/d1-2/profiles", (1,), [(1, 1, 1), (2, 2, 2)]),
        ("tensorrt/fp32/d1-8/profiles", (1, 4, 16), [(1, 1, 1), (2, 4, 4), (5, 8, 8)]),
        ("tensorrt/fp32/b4/profiles", (1, 4), [(4, 4, 4)]),
    ],
)
def test_profiles_follow_from_the_shape_and_its_options(key, batches, profiles):
    expected = [Profile(low=low, opt=opt, high=high) for low, opt, high in profiles]
    assert profiles_of(candidate(key), batches) == expected


def test_several_profiles_take_every_batch_of_the_shape_once():
    found = profiles_of(candidate("tensorrt/fp16/d1-16/profiles"), (1, 2, 6))
    assert [batch for profile in found for batch in range(profile.low, profile.high + 1)] == list(range(1, 17))


def test_options_are_read_from_the_key_in_any_order():
    found = options_of(candidate("tensorrt/int8/b1/dla1/entropy/implicit/o5/w512/hwcc/vc"))
    assert (found.dla, found.method, found.implicit, found.level, found.workspace_mib) == (1, "entropy", True, 5, 512)
    assert (found.hardware, found.compatible) == ("SAME_COMPUTE_CAPABILITY", True)
    assert options_of(candidate("tensorrt_rtx/fp16/d1-2/sm120")).target == "12.0"


@pytest.mark.parametrize("part", ["o6", "opt0", "w0", "dla2", "fast", "sm", "smx"])
def test_an_unknown_option_is_refused_by_name(part):
    with pytest.raises(ValueError, match=f"the option {part!r} is none"):
        options_of(candidate(f"tensorrt/fp16/d1-2/{part}"))


def test_an_option_that_is_given_twice_is_refused():
    with pytest.raises(ValueError, match="'o2' is given twice"):
        options_of(candidate("tensorrt/fp16/d1-2/o5/o2"))


@pytest.mark.parametrize(
    ("key", "row", "lacks"),
    [
        ("tensorrt/fp16/d1-2/weak", NEW, "no weak typing; take tensorrt/fp16/d1-2"),
        ("tensorrt/int8/d1-2/implicit", NEW, "no implicit calibration; take tensorrt/int8/d1-2"),
        ("tensorrt/fp16/b1/dla0", NEW, "no DLA"),
        ("tensorrt/fp16/d1-2/hwcc", OLD, "no hardware compatibility SAME_COMPUTE_CAPABILITY"),
        ("tensorrt_rtx/fp16/d1-2/hw", ON_RTX, "no hardware compatibility AMPERE_PLUS"),
        ("tensorrt_rtx/fp16/d1-2/vc", ON_RTX, "no version compatibility"),
        ("tensorrt_rtx/fp16/d1-2/sm90", ON_RTX, "no target 9.0; it has 7.5, 8.0"),
        ("tensorrt/fp16/d1-2/sm89", OLD, "no target 8.9; it has that of the GPU that is here"),
    ],
)
def test_what_a_version_lacks_is_refused_with_what_to_take_instead(key, row, lacks):
    with pytest.raises(ValueError, match="TensorRT 0 has ") as error:
        check(candidate(key), row, "TensorRT 0")
    assert lacks in str(error.value)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("tensorrt/int8/d1-2/weak", "'weak' is for fp16"),
        ("tensorrt/fp16/d1-2/implicit", "'implicit' is for int8"),
        ("tensorrt/fp16/d1-2/entropy", "'entropy' is for int8"),
        ("tensorrt/int8/d1-2/implicit/percentile", "no 'percentile'"),
        ("tensorrt/fp32/d1-2/opt2/profiles", "exclude each other"),
        ("tensorrt/fp32/d1-2/opt3", "opt3 is no batch of d1-2"),
        ("tensorrt/fp16/d1-2/dla0", "DLA takes one batch size"),
        ("tensorrt/fp32/b1/dla0", "DLA computes in fp16 or int8"),
        ("tensorrt/fp32/dyn", "TensorRT builds for bN or dMIN-MAX"),
        ("tensorrt/fp32/d4-2", "the smallest batch, 4, is above the largest, 2"),
    ],
)
def test_options_that_contradict_the_rest_of_the_key_are_refused(key, why):
    with pytest.raises(ValueError, match=why):
        check(candidate(key), OLD, "TensorRT 10.3")


@pytest.mark.parametrize("key", ["tensorrt/int8/b1/implicit/entropy/dla0", "tensorrt/fp16/d1-2/weak/o5/hw/vc"])
def test_the_classical_way_is_there_on_tensorrt_10(key):
    check(candidate(key), OLD, "TensorRT 10.3")
