"""The JSON Schema of `results.json`: it is that of the records, and real Runs meet it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from bakeoff import schema
from bakeoff.records import Takeaway, Verdict
from bakeoff.store import RESULTS, VERSION, RunFolder
from tests.report.test_report import record

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "docs" / "results.schema.json"
MEASURED = sorted((ROOT / "benchmarks" / "results").rglob(RESULTS))


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    found = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> dict[str, Any]:
    with RunFolder.create(tmp_path_factory.mktemp("run")) as folder:
        takeaway = Takeaway(rule="avoid", candidates=("c/fp32/dyn",), figures={"map_delta": -0.1}, text="Avoid it.")
        chances = Verdict(key="b/fp32/dyn", verdict="accepted", chances={"max-map-drop": 0.99})
        folder.save(msgspec.structs.replace(record(), takeaways=(takeaway,), verdicts=(chances,)))
        return json.loads((folder.path / RESULTS).read_bytes())


def test_the_published_schema_is_that_of_the_records():
    assert PUBLISHED.read_text(encoding="utf-8") == schema.text(), "the records changed: python tools/write_schema.py"


def test_a_run_as_it_is_written_meets_it(validator, written):
    assert written["version"] == VERSION
    assert [error.message for error in validator.iter_errors(written)] == []


@pytest.mark.parametrize("path", MEASURED, ids=lambda path: path.parent.name)
def test_committed_runs_of_older_versions_meet_it(validator, path):
    assert [error.message for error in validator.iter_errors(json.loads(path.read_bytes()))] == []


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("format",), "something-else"),
        (("version",), VERSION + 1),
        (("run", "settings", "frames"), "250"),
        (("run", "trials", 1, "map_delta", "low"), None),
        (("run", "trials", 0, "candidate"), None),
        (("run", "verdicts", 0, "chances"), {"max-map-drop": "likely"}),
        (("run", "takeaways", 0, "candidates"), "c/fp32/dyn"),
    ],
    ids=lambda part: part[-1] if isinstance(part, tuple) else "",
)
def test_what_bakeoff_would_not_write_does_not_meet_it(validator, written, where, value):
    broken = copy.deepcopy(written)
    *path, last = where
    inner: Any = broken
    for step in path:
        inner = inner[step]
    inner[last] = value
    assert not validator.is_valid(broken)


def test_every_record_in_it_says_what_it_is(validator):
    silent = [name for name, one in validator.schema["$defs"].items() if not one.get("description")]
    assert silent == []
