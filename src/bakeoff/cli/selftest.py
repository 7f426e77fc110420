"""`bakeoff selftest`: every Candidate of one backend on the demo model, and one file for a bug report."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from bakeoff.selftest import Document


@click.command("selftest")
@click.argument("backend")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for the Run.  [default: bakeoff-selftest-BACKEND-TIME]"
)
@click.option("--model", type=click.Path(path_type=Path), help="A .pt or .onnx file.  [default: the demo model]")
@click.option("--json", "as_json", is_flag=True, help="Print selftest.json instead of the table.")
def command(backend: str, out: Path | None, model: Path | None, as_json: bool) -> int:
    """Build, run, check and time every Candidate of BACKEND on the demo model; write one file for a bug report."""
    import json

    from bakeoff.cli import terminal
    from bakeoff.errors import InputError
    from bakeoff.selftest import FILE, selftest

    try:
        import bakeoff_demo
    except ImportError as error:
        raise InputError("the selftest needs the demo's images; pip install bakeoff-demo") from error
    folder = out or Path(f"bakeoff-selftest-{backend}-{datetime.datetime.now():%Y%m%d-%H%M%S}")
    with terminal.observer() as observer:
        document = selftest(backend, model or bakeoff_demo.model_path(), bakeoff_demo.data_path(), folder, observer)
    if as_json:
        click.echo(json.dumps(document, indent=1, ensure_ascii=False))
    else:
        _show(document)
        click.echo(f"For a bug report: {folder / FILE}")
    status = document["backend"]
    if reason := status["cannot_convert"] or status["cannot_run"]:
        click.echo(f"bakeoff: {status['title']} cannot be tested here: {reason}", err=True)
    return 0 if document["passed"] else 1


def _show(document: Document) -> None:
    """Print a row a Candidate, and why some are not ok."""
    from bakeoff.cli import terminal

    if not document["candidates"]:
        return
    columns = {
        "mAP50-95": ("val_map50_95", ".4f"),
        "Δ": ("map_delta", "+.4f"),
        "box error px": ("box_error_px", ".3f"),
        "1x1 ms": ("latency_1x1_ms", ".2f"),
        "load s": ("load_s", ".2f"),
        "size bytes": ("size_bytes", "d"),
    }
    rows = [
        [one["candidate"], one["status"], *(_cell(one["figures"].get(name), form) for name, form in columns.values())]
        for one in document["candidates"]
    ]
    terminal.table(
        ("candidate", "status", *columns), rows, words=0, ranks={"load s": 1, "size bytes": 2, "box error px": 3}
    )
    for one in document["candidates"]:
        if one["status"] != "ok":
            click.echo(f"{one['candidate']}: {one['status']}: {one['reason']}")


def _cell(value: Any, form: str) -> str:
    return "" if value is None else format(value, form)
