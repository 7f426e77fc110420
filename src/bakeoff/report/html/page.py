"""The page put together: its parts from the View, its template, style and script, and what it allows itself."""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from markupsafe import Markup

from bakeoff.report import accuracy, cameras, markdown, speed, sustain, sweep, tune
from bakeoff.report.html import charts, loads, prose
from bakeoff.report.html.answer import facts, takeaways
from bakeoff.report.html.columns import columns
from bakeoff.report.html.images import Gallery, gallery
from bakeoff.report.html.rows import GLYPHS, Json, Row, rows
from bakeoff.report.html.timeline import timeline
from bakeoff.report.html.tradeoff import tradeoff
from bakeoff.report.table import View
from bakeoff.report.takeaways import answer
from bakeoff.store import RunFolder

if TYPE_CHECKING:
    from jinja2 import Environment

VENDORED = ("d3.min.js", "plot.umd.min.js")
OWN = ("core", "table", "rows", "tradeoff", "timeline", "loads", "start")  # in this order, as one script


def render(view: View, folder: RunFolder) -> str:
    """Return the page.

    Raises:
        StoreError: the Run's samples are damaged.
    """
    found = rows(view)
    shown = columns(view, found)
    drawn: dict[str, Json | list[Json] | None] = {**charts.charts(view, found), **loads.charts(view, found)}
    drawn["tradeoff"] = tradeoff(view, found)
    drawn["timeline"] = timeline(view, found, folder.timings(), folder.telemetry())
    drawn = {name: chart for name, chart in drawn.items() if chart}
    data = {"charts": drawn, "sorted": {row.key: [column.sorted_by(row) for column in shown] for row in found}}
    scripts = _scripts()
    tables, pictures = _prose(view), gallery(view, found, folder)
    return (
        _environment()
        .get_template("page.html")
        .render(
            view=view,
            run=view.run,
            title=Path(view.run.imported or view.run.model.path).name,
            host=view.run.host.cpu or view.run.host.architecture,
            policy=_policy([_text("theme.js"), *scripts]),
            style=Markup(_text("style.css")),
            theme=Markup(_text("theme.js")),
            scripts=[Markup(script) for script in scripts],
            data=embedded(data),
            answer=prose.inline(answer(view)),
            facts=facts(view),
            notes=[prose.inline(note) for note in markdown.notes(view)],
            takeaways=[prose.inline(text) for text in takeaways(view)],
            rows=found,
            columns=shown,
            glyphs=GLYPHS,
            standings=[name for name in GLYPHS if name and any(row.standing == name for row in found)],
            chances=_chances(found),
            charts=drawn,
            gallery=pictures,
            method=[prose.inline(text) for text in markdown.method(view)],
            command=shlex.join(view.run.settings.command),
            settings=msgspec.json.format(msgspec.json.encode(view.run.settings), indent=2).decode(),
            sections=_sections(drawn, tables, pictures),
            **tables,
        )
    )


def _sections(
    drawn: Mapping[str, object], tables: Mapping[str, Markup], pictures: Gallery | None
) -> list[tuple[str, str]]:
    """Return the parts that this page has, as its navigation names them."""
    parts = (
        ("answer", "Answer", True),
        ("table", "Table", True),
        ("tune", "Shapes", tables["tune_tables"]),
        ("accuracy", "Accuracy", "accuracy" in drawn or "deltas" in drawn or tables["accuracy_tables"]),
        ("speed", "Speed", "latency" in drawn or "throughput" in drawn),
        ("tradeoff", "Trade-off", "tradeoff" in drawn),
        ("timeline", "Time-line", "timeline" in drawn),
        ("settings", "Settings", "sweep" in drawn or tables["sweep_tables"]),
        ("cameras", "Cameras", tables["camera_tables"]),
        ("sustained", "Sustained", tables["sustain_tables"]),
        ("costs", "Costs", "costs" in drawn),
        ("classes", "Classes", "classes" in drawn),
        ("images", "Images", pictures is not None),
        ("method", "What was run", True),
    )
    return [(name, title) for name, title, there in parts if there]


def _prose(view: View) -> dict[str, Markup]:
    """Return what the Markdown report tells in tables, by the part of the page where it stands."""
    parts = {
        "accuracy_tables": accuracy.sections(view),
        "speed_tables": speed.sections(view),
        "tune_tables": tune.sections(view),
        "sweep_tables": sweep.sections(view),
        "camera_tables": cameras.sections(view, {}),
        "sustain_tables": sustain.sections(view, {}),
    }
    return {name: prose.blocks(part) for name, part in parts.items()}


def _chances(found: Sequence[Row]) -> list[str]:
    """Return the Requirements that somebody's chances of meeting are known of, in the order that they were asked."""
    return list(dict.fromkeys(name for row in found for name in row.line.verdict.chances))


def embedded(data: Json) -> Markup:
    """Return data as JSON that no text in it can end: `<`, `>` and `&` are written as escapes."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def _policy(scripts: Sequence[str]) -> str:
    """Return the Content-Security-Policy: these scripts and no others, pictures as data, and no request at all."""
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _scripts() -> list[str]:
    return [*((files(__package__) / "vendor" / name).read_text(encoding="utf-8") for name in VENDORED), _own()]


@cache
def _own() -> str:
    return "(() => {\n'use strict';\n" + "".join(_text(f"{name}.js") for name in OWN) + "})();\n"


@cache
def _text(name: str) -> str:
    return (files(__package__) / "assets" / name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("bakeoff.report.html", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["breakable"] = lambda key: Markup("/<wbr>").join(key.split("/"))
    made.globals["name_of_chance"] = lambda name: name.replace("-", " ")
    return made
