"""Markdown of `report.md` as parts of the page: text stays text, links and images are left out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

TABLE = '<div class="wide" tabindex="0" role="region" aria-label="Table">\n<table class="plain">'


@cache
def _reader() -> MarkdownIt:
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image", "autolink"])
    for rule in ("link_open", "link_close"):  # a link into the Run's folder is dead where the page travels alone
        reader.add_render_rule(rule, lambda *_: "")
    return reader


def inline(text: str) -> Markup:
    """Return one line of Markdown as HTML."""
    return Markup(_reader().renderInline(text))  # html is off, all else is escaped


def blocks(parts: Iterable[str]) -> Markup:
    """Return parts of the Markdown report as HTML: headings one level lower, tables in a box that scrolls."""
    html = _reader().render("\n\n".join(parts))
    html = re.sub(r"<(/?)h([2-5])>", lambda found: f"<{found[1]}h{int(found[2]) + 1}>", html)
    html = html.replace("<table>", TABLE).replace("</table>", "</table></div>")
    return Markup(html)
