"""`bakeoff backends`: which runtimes are usable here."""

from __future__ import annotations

import click


@click.command("backends")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(as_json: bool) -> None:
    """List each backend: usable here, or why not and the cure."""
    import tempfile
    from pathlib import Path

    import msgspec

    from bakeoff import host
    from bakeoff.cli import terminal
    from bakeoff.steps.probe import probe_all

    with tempfile.TemporaryDirectory(prefix="bakeoff-") as logs:
        statuses = [one.status for one in probe_all(host.describe(), Path(logs))]
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(statuses)).decode())
        return
    rows = [
        (
            status.name,
            "no" if status.cannot_run else "yes",
            status.version or "",
            status.device or "",
            status.cannot_run or status.cannot_convert or "",
        )
        for status in statuses
    ]
    terminal.table(("backend", "usable", "version", "device", "why not, and the cure"), rows)
