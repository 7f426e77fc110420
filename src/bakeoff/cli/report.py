"""`bakeoff report`: the report again, from a Run's folder alone."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("report")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="One .html, .md, .csv or .parquet file.  [default: all, in RUN]"
)
def command(run: Path, out: Path | None) -> None:
    """Write the report of a Run again: table.csv, report.md, report.html and the charts."""
    from bakeoff import report
    from bakeoff.store import RunFolder

    folder = RunFolder(run)
    folder.load()
    if out is None:
        report.write(folder)
        click.echo(f"{run / 'report.html'}")
    else:
        report.export(folder, out)
        click.echo(str(out))
