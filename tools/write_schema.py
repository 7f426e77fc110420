"""Write docs/results.schema.json from the records: `python tools/write_schema.py`, after every change of a record."""

from __future__ import annotations

import sys
from pathlib import Path

from bakeoff import schema

PATH = Path(__file__).parents[1] / "docs" / "results.schema.json"

if __name__ == "__main__":
    PATH.write_text(schema.text(), encoding="utf-8")
    sys.stdout.write(f"{PATH}\n")
