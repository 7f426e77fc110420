"""From a Run's folder to what people read: `table.csv`, `report.md`, charts, HTML, frames. Pure readers."""

from __future__ import annotations

from pathlib import Path

from bakeoff.errors import InputError, StoreError
from bakeoff.report import frames, markdown, sweep, table, tune
from bakeoff.store import RunFolder


def write(folder: RunFolder, *, charts: bool = True) -> None:
    """Write `table.csv`, `report.md`, `report.html` and the charts into the Run's folder.

    Raises:
        StoreError: they can't be written.
    """
    view = table.View.of(folder)
    try:
        table.write_csv(view, folder.path / "table.csv")
        sweep.write_csv(view, folder.path / "sweep.csv")
        tune.write_csv(view, folder.path / "tune.csv")
        names: dict[str, str] = {}
        if charts:
            from bakeoff.report import charts as drawing  # matplotlib takes half a second to import

            names = drawing.draw(view, folder.path / "charts")
        (folder.path / "report.md").write_text(markdown.render(view, names), encoding="utf-8")
        write_html(view, folder, folder.path / "report.html")
    except OSError as error:
        raise StoreError(f"{folder.path} cannot be written: {error.strerror or error}") from error


def write_html(view: table.View, folder: RunFolder, path: Path) -> None:
    """Write the page; the interface of `bakeoff.report.html`, which takes a while to import."""
    from bakeoff.report import html

    html.write(view, folder, path)


def export(folder: RunFolder, path: Path) -> None:
    """Write one form of the report to a path of the user's, by its suffix.

    Raises:
        InputError: a suffix other than .html, .md, .csv or .parquet; or Parquet without polars.
    """
    view = table.View.of(folder)
    if path.suffix not in (".html", ".md", ".csv", ".parquet"):
        raise InputError(f"report {path}: the suffix says the form, .html, .md, .csv or .parquet")
    try:
        if path.suffix == ".csv":
            table.write_csv(view, path)
        elif path.suffix == ".parquet":
            path.write_bytes(frames.parquet(view))
        elif path.suffix == ".md":
            path.write_text(markdown.render(view, {}), encoding="utf-8")
        else:
            write_html(view, folder, path)
    except OSError as error:
        raise StoreError(f"report {path} cannot be written: {error.strerror or error}") from error
