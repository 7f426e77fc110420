"""`bakeoff time`: speed alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bakeoff.cli import options
from bakeoff.cli.bakeoff_run import bake_and_show


@click.command("time")
@options.model
@options.out
@options.inputs
@options.select
@options.speed
@options.loads
def command(out: Path | None, resume: bool, as_json: bool, **values: Any) -> int:
    """Convert MODEL and time each conversion on the dataset's frames; accuracy is not checked."""
    return bake_and_show(options.settings(values, accuracy=False), out, resume=resume, as_json=as_json)
