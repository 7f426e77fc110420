"""`bakeoff import`: a Run made of somebody else's figures."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command("import")
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the Run.  [default: bakeoff-TABLE-TIME]")
@click.option("--reference", metavar="KEY", help="Which row is the reference.  [default: by verdict, else the first]")
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def command(table: Path, out: Path | None, reference: str | None, as_json: bool) -> None:
    """Make a Run of TABLE, a CSV with columns as in table.csv, any subset; nothing is measured."""
    from bakeoff.api import Run, default_out
    from bakeoff.cli import terminal
    from bakeoff.importing import import_table

    with terminal.observer() as observer:
        folder = import_table(
            table,
            out or default_out(table),
            reference=reference,
            command=("bakeoff", *sys.argv[1:]),
            observer=observer,
        )
    if as_json:
        click.echo(terminal.as_json(Run(folder)))
    else:
        terminal.show(Run(folder))
