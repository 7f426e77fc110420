"""The JSON Schema of `results.json`, made of the records themselves; published as `docs/results.schema.json`."""

from __future__ import annotations

from typing import Any

import msgspec

from bakeoff.store import FORMAT, VERSION, Document

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def results() -> dict[str, Any]:
    """Return the schema of `results.json`, which Runs of older versions meet too: what they lack is not required."""
    _, components = msgspec.json.schema_components((Document,), ref_template="#/$defs/{name}")
    head = components.pop(Document.__name__)
    return {
        "$schema": DIALECT,
        "$id": f"urn:bakeoff:results:{VERSION}",
        "title": f"results.json of a bakeoff Run, version {VERSION}",
        "description": "docs/file-format.md says what each field means. Unknown fields are allowed, and ignored.",
        "type": "object",
        "properties": {
            **head["properties"],
            "format": {"const": FORMAT},
            "version": {"type": "integer", "minimum": 1, "maximum": VERSION},
        },
        "required": head["required"],
        "$defs": dict(sorted(components.items())),
    }


def text() -> str:
    """Return the schema as the published file holds it."""
    return msgspec.json.format(msgspec.json.encode(results()), indent=1).decode() + "\n"
