"""`bakeoff tune`: which shape, and which settings of loading, for which Workload."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bakeoff.cli import options
from bakeoff.cli.bakeoff_run import bake_and_show


@click.command("tune")
@options.model
@options.out
@options.inputs
@options.select
@options.timing
def command(out: Path | None, resume: bool, as_json: bool, **values: Any) -> int:
    """Try other shapes (profiles, batch sizes), threads and streams; recommend one for each Workload.

    Tunes the plainest Candidate of each runtime, or those that --only names. Accuracy is not measured; each shape's raw
    outputs must be the same.
    """
    asked = options.settings(values, accuracy=False, shapes=True)
    return bake_and_show(asked, out, resume=resume, as_json=as_json)
