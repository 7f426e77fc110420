"""`report.html`, first form: the Markdown report as one page, its charts inside."""

from __future__ import annotations

import base64
import re
from html import escape
from pathlib import Path

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1200px; margin: 2rem auto; padding: 0 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
th, td { border-bottom: 1px solid #8886; padding: .3rem .6rem; white-space: nowrap; }
img { max-width: 100%; background: white; }
blockquote { border-left: 4px solid #d90; margin: 1rem 0; padding: .1rem 1rem; }
"""


def render(markdown: str, title: str, folder: Path) -> str:
    """Return a page that needs no other file; images are read from `folder`. Text in the report stays text."""
    from markdown_it import MarkdownIt

    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)

    def inline(match: re.Match[str]) -> str:
        path = folder / match.group(1)
        if path.suffix != ".png" or not path.is_file():
            return match.group(0)
        return f'src="data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"'

    body = re.sub(r'src="([^":]+)"', inline, body)
    body = body.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>bakeoff: {escape(Path(title).name)}</title><style>{STYLE}</style></head><body>{body}</body></html>\n"
    )
