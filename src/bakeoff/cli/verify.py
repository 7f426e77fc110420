"""`bakeoff verify`: accuracy alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bakeoff.cli import options
from bakeoff.cli.bakeoff_run import bake_and_show


@click.command("verify")
@options.model
@options.out
@options.inputs
@options.select
@options.judging
def command(out: Path | None, resume: bool, as_json: bool, **values: Any) -> int:
    """Convert MODEL and check each conversion's accuracy; nothing is timed."""
    return bake_and_show(options.settings(values, speed=False), out, resume=resume, as_json=as_json)
