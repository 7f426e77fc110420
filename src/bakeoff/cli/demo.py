"""`bakeoff demo`: the main job on the packaged model and images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bakeoff.cli import options
from bakeoff.cli.bakeoff_run import bake_and_show

IMAGES, FRAMES = 64, 60
TIME_BUDGET_S = 150.0  # a demo is not for deciding


@click.command("demo")
@options.out
@click.option("--only", multiple=True, metavar="GLOB", help="Only Candidates whose key matches.  [repeatable]")
@click.option("--skip", multiple=True, metavar="GLOB", help="Not those whose key matches.  [repeatable]")
@click.option("--images", type=int, default=IMAGES, show_default=True, help="Validation images.")
@click.option("--frames", type=int, default=FRAMES, show_default=True, help="Frames a stream.")
@click.option("--quick", is_flag=True, help="Few rounds.")
@click.option("--resume", is_flag=True, help="Go on with the interrupted Run in --out.")
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def command(out: Path | None, resume: bool, as_json: bool, **values: Any) -> int:
    """Do the main job on the packaged demo model and images; no other file is needed."""
    from bakeoff.errors import InputError

    try:
        import bakeoff_demo
    except ImportError as error:
        raise InputError("the demo needs its package; pip install bakeoff-demo") from error
    fixed = {
        "model": str(bakeoff_demo.model_path()),
        "data": str(bakeoff_demo.data_path()),
        "calibration_images": 64,
        "time_budget_s": TIME_BUDGET_S,
    }
    return bake_and_show(options.settings(values, **fixed), out, resume=resume, as_json=as_json)
