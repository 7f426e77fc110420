"""`bakeoff convert`: one Artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bakeoff.cli import options


@click.command("convert")
@options.model
@click.option("--to", "key", required=True, metavar="CANDIDATE", help="A key from `bakeoff plan MODEL`.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the files.  [default: MODEL-CANDIDATE]")
@click.option("--recipe", type=click.Path(path_type=Path), help="A Run's recipe.json, for an int8+fp32 Candidate.")
@options.inputs
@click.option(
    "--workload",
    "workloads",
    multiple=True,
    default=["1x1", "1x2", "2x1"],
    show_default=True,
    metavar="SxB",
    help="A static Artifact gets a file for each batch size.",
)
def command(key: str, out: Path | None, recipe: Path | None, **values: Any) -> None:
    """Convert MODEL for one Candidate."""
    from bakeoff.bake import convert_one
    from bakeoff.cli import terminal
    from bakeoff.errors import WorkerError
    from bakeoff.records import Failure

    folder = out or Path(f"{Path(values['model']).stem}-{key.replace('/', '-')}")
    try:
        with terminal.observer() as observer:
            artifact = convert_one(options.settings(values), key, folder, observer, recipe)
    except WorkerError as error:
        if isinstance(error.failure, Failure) and error.failure.log_tail:
            click.echo(error.failure.log_tail, err=True)
        raise
    for file in artifact.files:
        click.echo(f"{folder / file.path}  {file.size_bytes / 1e6:.2f} MB")
