"""A Run as a notebook shows it: the answer, and the table with verdicts and intervals.

Colours are the notebook's own, fainter or tinted, so that light and dark themes both work; nothing is fetched or run.
"""

from __future__ import annotations

import re
from html import escape

from bakeoff.report import summary
from bakeoff.report.table import View
from bakeoff.report.takeaways import answer

STYLE = """
.bakeoff-run { overflow-x: auto; }
.bakeoff-run table { color: inherit; border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .5em 0; }
.bakeoff-run th, .bakeoff-run td { padding: .3em .7em; text-align: right; white-space: nowrap; background: none; }
.bakeoff-run th { border-bottom: 1px solid rgba(128, 128, 128, .6); vertical-align: bottom; }
.bakeoff-run td { border-top: 1px solid rgba(128, 128, 128, .25); }
.bakeoff-run .words { text-align: left; }
.bakeoff-run .reason { text-align: left; white-space: normal; opacity: .75; }
.bakeoff-run .interval { opacity: .65; font-size: .85em; }
.bakeoff-run .verdict { border: 1px solid rgba(128, 128, 128, .6); border-radius: 1em; padding: 0 .6em; }
.bakeoff-run .recommended { background: rgba(34, 160, 80, .3); border-color: rgb(34, 160, 80); font-weight: bold; }
.bakeoff-run .accepted { border-color: rgb(34, 160, 80); }
.bakeoff-run .rejected, .bakeoff-run .failed { background: rgba(220, 60, 50, .25); border-color: rgb(220, 60, 50); }
.bakeoff-run .undecided { background: rgba(215, 150, 0, .25); border-color: rgb(215, 150, 0); }
"""


def render(view: View) -> str:
    """Return the HTML; every text from outside is escaped."""
    columns = summary.columns(view)
    head = "".join(
        f"<th{'' if column.figures else ' class=words'}>{'<br>'.join(map(escape, column.head))}</th>"
        for column in columns
    )
    rows = []
    for i, line in enumerate(view.lines):
        cells = [_cell(column, column.forms[0][i], first=j == 0) for j, column in enumerate(columns)]
        if line.trial.status != "ok":  # why not, in place of figures
            cells = [*cells[:2], f"<td class=reason colspan={len(columns) - 2}>{escape(line.trial.reason)}</td>"]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    quick = "<p>--quick: few rounds, so intervals are wide.</p>" if view.run.settings.quick else ""
    return (
        f'<div class="bakeoff-run"><style>{STYLE}</style><p>{_words(answer(view))}</p>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>{quick}"
        "<p class=interval>In brackets: 95% intervals. Latencies are medians of one prediction.</p></div>"
    )


def _cell(column: summary.Column, text: str, *, first: bool) -> str:
    if column.figures:
        value, bracket, rest = text.partition(" [")
        interval = f" <span class=interval>[{escape(rest)}</span>" if bracket else ""
        return f"<td>{escape(value)}{interval}</td>"
    if first:
        return f"<td class=words><code>{escape(text)}</code></td>"
    kind = text if text.isalpha() else ""
    return f'<td class=words><span class="verdict {kind}">{escape(text)}</span></td>' if text else "<td></td>"


def _words(markdown: str) -> str:
    """Return the answer's bold words and keys in HTML."""
    text = escape(markdown)
    text = re.sub(r"`([^`]*)`", r"<code>\1</code>", text)
    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text)
