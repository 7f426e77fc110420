"""What telemetry will not be able to tell during a Run."""

from __future__ import annotations

from pathlib import Path

from bakeoff.records import Finding
from bakeoff.speed.telemetry import Telemetry


def check(root: Path) -> list[Finding]:
    """Return one Finding for each reason, with the quantities that it takes away."""
    with Telemetry.open(root=root) as telemetry:
        unknown, sources = telemetry.unknown, telemetry.sources
    reasons: dict[str, list[str]] = {}
    for quantity, why in unknown.items():
        reasons.setdefault(why, []).append(quantity)
    found = [Finding(level="ok", topic="telemetry", what=f"tells {', '.join(sources)}")] if sources else []
    for why, quantities in reasons.items():
        what, _, cure = why.partition("; cure: ")
        found.append(
            Finding(level="note", topic="telemetry", what=f"{', '.join(quantities)}: {what}", cure=cure or None)
        )
    return found
