"""What `bakeoff doctor` says of this machine and set-up."""

from __future__ import annotations

from typing import Literal

from bakeoff.records.base import Record

Level = Literal["problem", "warning", "note", "ok"]


class Finding(Record, frozen=True, kw_only=True):
    """One thing that was looked at.

    `problem`: something does not work. `warning`: timings will suffer. `note`: good to know. `ok`: as it should be.
    """

    level: Level
    topic: str
    what: str
    cure: str | None = None  # a command that mends it, or what else does; None where nothing is to be done
