"""The Requirements: their names, what is refused, and how those of an old Run are changed."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from bakeoff.errors import InputError
from bakeoff.records import Requirements

PREFERENCES = ("latency", "throughput", "accuracy", "size")
MAP_DROP, RECALL_DROP = "max-map-drop", "max-recall-drop"
LATENCY, MEMORY, SIZE = "latency-budget", "max-memory", "max-size"
DROPS = (MAP_DROP, RECALL_DROP)
FIELDS = {
    MAP_DROP: "max_map_drop",
    RECALL_DROP: "max_recall_drop",
    LATENCY: "latency_budget_ms",
    MEMORY: "max_memory_bytes",
    SIZE: "max_size_bytes",
}
EXAMPLES = {LATENCY: "40", MEMORY: "500MB", SIZE: "20MB"}


def check(requirements: Requirements) -> None:
    """Refuse what nothing can be judged by.

    Raises:
        InputError: naming the Requirement.
    """
    if requirements.prefer not in PREFERENCES:
        raise InputError(f"prefer {requirements.prefer!r} is not one of {', '.join(PREFERENCES)}")
    for name, allowed in asked(requirements).items():
        if name in DROPS:
            if not 0 <= allowed < math.inf:
                raise InputError(f"{name} {allowed:g} is not 0 or more; give a drop such as 0.01")
        elif name in (MEMORY, SIZE) and not isinstance(allowed, int):
            raise InputError(f"{name} {allowed!r} is not a whole number of bytes, such as 500000000")
        elif not 0 < allowed < math.inf:
            raise InputError(f"{name} {allowed:g} is not positive; give a limit such as {EXAMPLES[name]}")
    if not 0 < requirements.percentile < 100:
        raise InputError(f"percentile {requirements.percentile:g} is not between 0 and 100")


def asked(requirements: Requirements) -> dict[str, float]:
    """Return the limits that were given, by name: shares, milliseconds, bytes."""
    values = {name: getattr(requirements, field) for name, field in FIELDS.items()}
    return {name: value for name, value in values.items() if value is not None}


def changed(requirements: Requirements, changes: Mapping[str, float | str | None]) -> Requirements:
    """Return an old Run's Requirements with changes by field; `None` leaves one as it was, infinity takes it away.

    Raises:
        InputError: what comes out is refused.
    """
    given = {name: None if value == math.inf else value for name, value in changes.items() if value is not None}
    if given.get("max_map_drop", 0.0) is None:
        raise InputError(f"{MAP_DROP} cannot be left out: give a drop such as 0.01")
    result = msgspec.structs.replace(requirements, **given)
    check(result)
    return result
