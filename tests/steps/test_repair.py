from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from bakeoff.steps import repair
from bakeoff.store import RunFolder
from tests import tiny
from tests.cli.runner import bakeoff, rows
from tests.conftest import write_plugin
from tests.steps import quantising

KEYS = {name: f"{name}/int8/dyn" for name in ("lossy", "hopeless", "saturating")}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    backends = {"lossy": "Lossy", "hopeless": "Hopeless", "saturating": "Saturating"}
    source = Path(quantising.__file__).read_text()
    return write_plugin(tmp_path_factory.mktemp("site"), "quantising", source, backends)


@pytest.fixture(scope="module")
def finished(site, tiny_model, tmp_path_factory):
    """One Run of all three, three draws of calibration images each."""
    folder = tmp_path_factory.mktemp("repair")
    data = tiny.write_dataset(folder / "data", validation=16, training=8)
    only = [word for key in KEYS.values() for word in ("--only", key)]
    options = ("--out", "run", "--calibration-seeds", 3, "--calibration-images", 3, *only)
    done = bakeoff("verify", tiny_model, "--data", data, *options, cwd=folder, plugins=[site])
    return folder, done


@pytest.fixture(scope="module")
def record(finished):
    return RunFolder(finished[0] / "run").load()


@pytest.mark.slow
def test_a_rejected_int8_candidate_is_repaired_and_both_rows_stand(finished):
    table = rows(finished[0] / "run")
    assert finished[1].returncode == 0, finished[1].stderr
    assert table["lossy/int8/dyn"]["verdict"] == "rejected"
    assert table["lossy/int8+fp32/dyn"]["verdict"] == "accepted"
    assert table["lossy/int8+fp32/dyn"]["float_layers"] == "1"
    assert "INT8 was rejected: trying lossy/int8+fp32/dyn" in finished[1].stderr


@pytest.mark.slow
def test_where_no_attempt_within_the_budget_passes_the_attempts_prove_it(finished, record):
    assert rows(finished[0] / "run")["hopeless/int8+fp32/dyn"]["verdict"] == "rejected"
    attempts = record.trial("hopeless/int8+fp32/dyn").repair
    ranked = repair.read_recipe(finished[0] / "run" / "recipe.json").ranking
    assert [one.verdict for one in attempts] == ["rejected"] * len(attempts)
    assert attempts[-1].float_layers == max(1, int(len(ranked) * repair.BUDGET))
    assert "## INT8 repair" in (finished[0] / "run" / "report.md").read_text()


@pytest.mark.slow
def test_the_recipe_ranks_every_layer_once_the_worst_first(finished):
    recipe = repair.read_recipe(finished[0] / "run" / "recipe.json")
    errors = [one.error for one in recipe.ranking]
    assert len({one.layer for one in recipe.ranking}) == len(errors) == 2  # the tiny detector has two convolutions
    assert errors == sorted(errors, reverse=True)
    assert recipe.kept == {"lossy/int8+fp32/dyn": 1, "hopeless/int8+fp32/dyn": 1}


@pytest.mark.slow
def test_a_session_that_contradicts_its_own_graph_is_a_failure_that_says_so(finished, record):
    trial = record.trial("saturating/int8/dyn")
    assert trial.status == "failed"
    assert "float emulation of its own graph" in trial.reason
    assert trial.accuracy is not None, "what was measured is kept"
    assert "saturating/int8+fp32/dyn" not in [one.candidate.key for one in record.trials]


@pytest.mark.slow
def test_other_draws_are_converted_from_other_images(record):
    trial = record.trial("lossy/int8/dyn")
    assert [draw.seed for draw in trial.calibration_draws] == [1, 2]
    assert all(draw.map50_95 == trial.accuracy.map50_95 for draw in trial.calibration_draws), "lossy by rule"
    assert trial.artifact.how["seeds"][0] == 0


@pytest.mark.slow
def test_a_recipe_of_a_run_converts_the_mixed_candidate_again(finished, site, tiny_model):
    folder = finished[0]
    arguments = ("convert", tiny_model, "--to", "lossy/int8+fp32/dyn", "--data", "data/data.yaml", "--out", "again")
    done = bakeoff(*arguments, "--recipe", "run/recipe.json", cwd=folder, plugins=[site])
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "again" / "artifact.json").read_text())["how"]["float_layers"] == 1
    without = bakeoff(*arguments[:-1], "third", cwd=folder, plugins=[site])
    assert without.returncode == 2
    assert "needs --recipe FILE" in without.stderr


@pytest.mark.slow
def test_no_repair_leaves_a_rejected_candidate_rejected(site, tiny_model, tmp_path):
    data = tiny.write_dataset(tmp_path / "data", validation=12)
    arguments = ("verify", tiny_model, "--data", data, "--out", "run", "--only", "lossy/*", "--no-repair")
    done = bakeoff(*arguments, cwd=tmp_path, plugins=[site])
    assert done.returncode == 0, done.stderr
    assert list(rows(tmp_path / "run")) == ["onnxruntime/fp32/dyn", "lossy/int8/dyn"]


@pytest.mark.slow
@pytest.mark.parametrize("content", [None, "{", '{"model_sha256": "x"}'])
def test_what_is_no_recipe_is_told_in_one_line(content, tiny_model, tiny_data, tmp_path, site):
    path = tmp_path / "recipe.json"
    if content is not None:
        path.write_text(content)
    arguments = ("convert", tiny_model, "--to", "lossy/int8+fp32/dyn", "--data", tiny_data, "--recipe", path)
    done = bakeoff(*arguments, cwd=tmp_path, plugins=[site])
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()[-1:]) == 1
    assert "recipe" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_repair_that_was_interrupted_goes_on_where_it_stopped(site, tiny_model, tmp_path):
    data = tiny.write_dataset(tmp_path / "data", validation=12)
    arguments = ("verify", tiny_model, "--data", data, "--out", "run", "--only", "lossy/*")
    assert bakeoff(*arguments, cwd=tmp_path, plugins=[site]).returncode == 0
    with RunFolder.resume(tmp_path / "run") as folder:
        run = folder.load()
        trials = [
            msgspec.structs.replace(trial, verified=False, repair=())
            if trial.candidate.key == "lossy/int8+fp32/dyn"
            else trial
            for trial in run.trials
        ]
        folder.save(msgspec.structs.replace(run, trials=tuple(trials), finished=None))
    done = bakeoff(*arguments, "--resume", cwd=tmp_path, plugins=[site])
    assert done.returncode == 0, done.stderr
    trial = RunFolder(tmp_path / "run").load().trial("lossy/int8+fp32/dyn")
    assert (trial.verified, [one.verdict for one in trial.repair]) == (True, ["accepted"])
