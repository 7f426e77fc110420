"""What a Candidate's key asks of the builder: the profiles of its shape, and its options."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bakeoff.backends import qdq
from bakeoff.backends.trt.versions import AMPERE_PLUS, SAME_CAPABILITY, Generation
from bakeoff.records import Candidate

METHOD = "percentile"  # how INT8 ranges are found unless the key says (docs/decisions/0019-tensorrt-precision.md)
LEVELS = range(6)  # builder optimisation level; TensorRT's default is 3
HARDWARE = {"hw": AMPERE_PLUS, "hwcc": SAME_CAPABILITY}
SHAPING = re.compile(r"opt[1-9][0-9]*|profiles")  # options that are about the profiles
_OPTION = re.compile(
    r"opt(?P<opt>[1-9][0-9]*)|(?P<profiles>profiles)|(?P<weak>weak)|(?P<implicit>implicit)"
    rf"|(?P<method>{'|'.join(qdq.METHODS)})|o(?P<level>[0-5])|w(?P<workspace>[1-9][0-9]*)"
    r"|(?P<hardware>hw|hwcc)|(?P<compatible>vc)|dla(?P<dla>[01])|sm(?P<target>[1-9][0-9]{1,2})"
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of one key, by name."""

    opt: int | None = None  # the batch that the profile is tuned for
    profiles: bool = False  # one for each batch
    weak: bool = False
    implicit: bool = False
    method: str | None = None  # how INT8 ranges are found; None: `METHOD`, or by TensorRT's own minmax calibrator
    level: int | None = None
    workspace_mib: int | None = None
    hardware: str | None = None  # a `HardwareCompatibilityLevel`
    compatible: bool = False  # with later versions
    dla: int | None = None  # core
    target: str | None = None  # compute capability


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The batch sizes that one optimisation profile takes, and the one that it is tuned for."""

    low: int
    opt: int
    high: int


def options_of(candidate: Candidate) -> Options:
    """Read a Candidate's options.

    Raises:
        ValueError: one is unknown, or given twice.
    """
    found: dict[str, str] = {}
    for part in candidate.options:
        match = _OPTION.fullmatch(part)
        if match is None or match.lastgroup is None or match.lastgroup in found:
            why = "is given twice" if match else "is none that TensorRT's builder has; see docs/tensorrt.md"
            raise ValueError(f"{candidate.key}: the option {part!r} {why}")
        found[match.lastgroup] = match.group(match.lastgroup)

    def number(name: str) -> int | None:
        return int(found[name]) if name in found else None

    target = found.get("target")
    return Options(
        opt=number("opt"),
        profiles="profiles" in found,
        weak="weak" in found,
        implicit="implicit" in found,
        method=found.get("method"),
        level=number("level"),
        workspace_mib=number("workspace"),
        hardware=HARDWARE[found["hardware"]] if "hardware" in found else None,
        compatible="compatible" in found,
        dla=number("dla"),
        target=None if target is None else f"{target[:-1]}.{target[-1]}",
    )


def check(candidate: Candidate, generation: Generation, title: str) -> None:
    """Refuse what this version of TensorRT does not have, or what contradicts itself.

    Raises:
        ValueError: naming it, and what to take instead.
    """
    options, key = options_of(candidate), candidate.key
    plain = "/".join((candidate.backend, candidate.precision, candidate.shape))
    lacks = {
        f"no weak typing; take {plain}": options.weak and not generation.weak_typing,
        f"no implicit calibration; take {plain}": options.implicit and not generation.implicit_int8,
        "no DLA; leave it out": options.dla is not None and not generation.dla,
        f"no hardware compatibility {options.hardware}; leave it out": options.hardware is not None
        and options.hardware not in generation.hardware_levels,
        "no version compatibility; leave it out": options.compatible and not generation.version_compatible,
        f"no target {options.target}; it has {', '.join(generation.targets) or 'that of the GPU that is here'}": (
            options.target is not None and options.target not in generation.targets
        ),
    }
    for what, lacking in lacks.items():
        if lacking:
            raise ValueError(f"{key}: {title} has {what}")
    low, high = batches_of(candidate)
    wrong = {
        "'weak' is for fp16": options.weak and candidate.precision != "fp16",
        "'implicit' is for int8": options.implicit and candidate.precision != "int8",
        f"{options.method!r} is for int8": options.method is not None and not candidate.quantised,
        "TensorRT's own calibrators have no 'percentile'": options.implicit and options.method == "percentile",
        "'opt' and 'profiles' exclude each other": options.opt is not None and options.profiles,
        f"opt{options.opt} is no batch of {candidate.shape}": options.opt is not None
        and not low <= options.opt <= high,
        "DLA takes one batch size, such as b1": options.dla is not None and low != high,
        "DLA computes in fp16 or int8": options.dla is not None and candidate.precision not in ("fp16", "int8"),
    }
    for what, given in wrong.items():
        if given:
            raise ValueError(f"{key}: {what}; see docs/tensorrt.md")


def batches_of(candidate: Candidate) -> tuple[int, int]:
    """Return the smallest and the largest batch of a `bN` or `dMIN-MAX` shape.

    Raises:
        ValueError: it is another one.
    """
    match = re.fullmatch(r"b([1-9][0-9]*)|d([1-9][0-9]*)-([1-9][0-9]*)", candidate.shape)
    if match is None:
        raise ValueError(f"{candidate.key}: TensorRT builds for bN or dMIN-MAX, such as b1 and d1-2")
    one, low, high = match.groups()
    if one is None and int(low) > int(high):
        raise ValueError(f"{candidate.key}: the smallest batch, {low}, is above the largest, {high}")
    return int(one or low), int(one or high)


def profiles_of(candidate: Candidate, batches: Sequence[int]) -> list[Profile]:
    """Return a Candidate's optimisation profiles.

    With `profiles`, each takes one of the batches used and those between it and the one before.

    Args:
        candidate: its shape and options are read.
        batches: that the Workloads use; those that the shape does not take are left out.
    """
    low, high = batches_of(candidate)
    options = options_of(candidate)
    if not options.profiles:
        return [Profile(low=low, opt=options.opt or low, high=high)]
    ends = sorted({low, high, *(batch for batch in batches if low <= batch <= high)})
    starts = [low, *(end + 1 for end in ends[:-1])]
    return [Profile(low=start, opt=end, high=end) for start, end in zip(starts, ends, strict=True)]
