"""What run, demo, verify and time have in common: bake, show, exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from bakeoff.records import Settings


def bake_and_show(settings: Settings, out: Path | None, *, resume: bool, as_json: bool) -> int:
    """Do a Run, print its table and answer, and return the exit code."""
    from bakeoff.api import Run, default_out
    from bakeoff.bake import bake
    from bakeoff.cli import terminal
    from bakeoff.errors import InputError

    if resume and out is None:
        raise InputError("--resume needs the folder of the Run to go on with: --out DIR")
    folder = out or default_out(settings.model)
    try:
        with terminal.observer() as observer:
            bake(settings, folder, observer, resume=resume)
    except KeyboardInterrupt:
        if (folder / "results.json").exists():
            click.echo(f"Kept in {folder}; go on with the same command and --out {folder} --resume", err=True)
        raise
    run = Run(folder)
    if as_json:
        click.echo(terminal.as_json(run))
    else:
        terminal.show(run)
    return 0 if run.ok else 1
