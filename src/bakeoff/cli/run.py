"""`bakeoff run`: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bakeoff.cli import options
from bakeoff.cli.bakeoff_run import bake_and_show


@click.command("run")
@options.model
@options.out
@options.inputs
@options.select
@options.speed
@options.judging
def command(out: Path | None, resume: bool, as_json: bool, **values: Any) -> int:
    """Convert MODEL for every runtime here, check each one's accuracy, time each, judge.

    MODEL is an Ultralytics .pt or an .onnx file.
    """
    return bake_and_show(options.settings(values), out, resume=resume, as_json=as_json)
