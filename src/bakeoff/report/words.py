"""How figures and outside text are written in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bakeoff.errors import one_line


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, words: bool = False) -> str:
    """Return a Markdown table; columns after the first are figures, unless they are `words`."""
    align = ["---", *("---" if words else "---:" for _ in head[1:])]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, align, *rows))


def number(value: float | None, form: str) -> str:
    """Return a formatted number; nothing where it was not measured."""
    return "" if value is None else format(value, form)


def signed(value: float, digits: int = 4) -> str:
    """Return a number with its sign, never -0.0000."""
    return f"{round(value, digits) + 0.0:+.{digits}f}"


def plain(text: str) -> str:
    """Make outside text harmless in Markdown: names of files and classes are not ours."""
    return "".join("\\" + c if c in "|*_[]<>`" else c for c in text) if any(c in "|*[]<>`" for c in text) else text


def code(text: str) -> str:
    """Return outside text as code, such as a key; as plain text where code could not hold it."""
    text = one_line(text)
    return plain(text) if not text or any(c in "`|" for c in text) else f"`{text}`"
