"""What a tune's report, table and terminal lines say, from records and samples alone."""

from __future__ import annotations

import csv

import msgspec

from bakeoff.records import Artifact, ArtifactFile, GroupParity, Parity, Shapes, Trial, Workload
from bakeoff.report import markdown, tune
from bakeoff.report.table import View
from bakeoff.report.takeaways import answer, takeaways
from tests.speed.test_tune import B1, BATCH_WINS, DYN, FAMILY, STATIC, candidate, run, screened, timings


def trial(key, **fields):
    files = (ArtifactFile(path="x", sha256="", size_bytes=2_000_000),)
    groups = tuple(
        GroupParity(output="output 0", group=group, max_error=1.0, mean_error=0.1, confident_error=error)
        for group, error in (("boxes", 0.012), ("scores", 0.0003))
    )
    whole = {"artifact": Artifact(folder="a", files=files), "convert_s": 3.25, "load_s": 0.5}
    whole |= {"peak_memory_bytes": 90_000_000, "peak_timed_bytes": 123_000_000}
    whole |= {"parity": Parity(images=8, reference=groups)}
    return Trial(**{"candidate": candidate(key), **whole, **fields})


TRIALS = (trial(DYN), trial(STATIC, convert_s=6.5, peak_timed_bytes=200_000_000), trial(B1))


def view(ms=BATCH_WINS, family=FAMILY, trials=TRIALS, **fields):
    record = msgspec.structs.replace(run(family, trials=trials), **fields)
    return View.make(record, timings(ms))


def _questions(one):
    return [tune.question(one, asked) for asked in one.tuned.questions]


def section(text):
    return text.split("## Which shape for which Workload\n")[1].split("\n## ")[0]


def test_the_answer_names_one_candidate_for_each_workload_and_how_to_serve_a_second_camera():
    text = answer(view())
    assert text.startswith(f"**Recommended** for 1x1, 2x1: `{B1}`; for 1x2: `{DYN}`. A second camera: serve with")
    assert "Accuracy was not measured" in text


def test_the_second_camera_is_answered_with_both_times_and_the_interval_of_their_ratio():
    overall, study = _questions(view())
    assert overall.startswith(f"A second camera: serve with batches of two on `{DYN}` (15.0")
    assert f"rather than with two streams on `{B1}` (" in overall
    assert "ms [" in overall
    assert ": 1.20 [1.19, 1.2" in overall
    assert study.startswith(f"A second camera, against the batch-1 form of `{DYN}`: serve with batches of two")


def test_streams_that_win_are_named_first_and_doubt_is_said():
    (lost, _) = _questions(view({**BATCH_WINS, (DYN, "1x2"): 27, (STATIC, "1x2"): 27}))
    assert lost.startswith(f"A second camera: serve with two streams on `{B1}` (")
    assert "1.50 [1." in lost
    (doubt, _) = _questions(view({**BATCH_WINS, (DYN, "1x2"): 18.0, (STATIC, "1x2"): 18.5}))
    assert doubt.startswith("A second camera: undecided between batches of two on")
    assert "times as fast." in doubt


def test_more_cameras_are_asked_about_by_their_number():
    ms = {(DYN, "1x4"): 30, (DYN, "4x1"): 40}
    record = run(Shapes(key=DYN), trials=TRIALS[:1], workloads=("1x2", "2x1"))
    four = msgspec.structs.replace(record.settings, workloads=(_workload("1x4"), _workload("4x1")))
    one = View.make(msgspec.structs.replace(record, settings=four), _four(ms))
    (said,) = _questions(one)
    assert said.startswith("Four cameras: serve with batches of four on")


def _workload(text):
    return Workload.parse(text)


def _four(ms):
    """Samples at 1x4 and 4x1, as those of 1x2 and 2x1 are made."""
    made = timings({(key, {"1x4": "1x2", "4x1": "2x1"}[w]): value for (key, w), value in ms.items()})
    return {(key, {"1x2": "1x4", "2x1": "4x1"}[w]): one for (key, w), one in made.items()}


def test_the_terminal_gets_what_each_recommendation_gains_and_costs():
    first, second, third, *_ = tune.lines(view())
    assert first.startswith(f"1x1: {B1}: 9.")
    assert "faster, 1.11 [1.1" in first
    assert f"times as fast as {DYN}" in first
    assert first.endswith("size 2.0 MB (plain: 2.0 MB)")
    assert "memory 123 MB (plain: 123 MB)" in first
    assert second.startswith(f"1x2: {DYN}: ")
    assert "it is the plain shape" in second
    assert third.startswith(f"2x1: {B1}: ")


def test_a_tie_is_called_one_with_who_ties():
    equal = {(key, "1x1"): 10.0 for key in (DYN, STATIC, B1)}
    (line,) = tune.lines(view(equal))
    assert f"ties with {STATIC}, {B1}, and is the plainest of them" in line
    assert f"`{STATIC}`, `{B1}`" in section(markdown.render(view(equal), {}))


def test_the_table_shows_gain_beside_time_and_every_cost():
    rows = {row.split(" | ")[0].strip("| `"): row for row in section(markdown.render(view(), {})).splitlines()}
    assert "(1.17 [1.16, 1.1" in rows[B1]
    assert "**" in rows[B1]
    assert "| 6.5 | 0.50 | 200 | 2.0 | 0.012 / 0.0003 |" in rows[STATIC]
    assert rows[DYN].count("**") == 2


def test_what_was_tried_and_left_out_is_said():
    family = msgspec.structs.replace(FAMILY, seconds=42.0, left_out="half of the time budget was spent")
    said = section(markdown.render(view(family=family), {}))
    assert "Of the time budget of 600 s, 42 s went into screening" in said
    assert "No setting that was tried beat its default" in said
    assert "Half of the time budget was spent." in said


def test_screened_settings_have_no_second_section_of_their_own():
    swept = screened({(DYN, "1x1"): 10, (f"{DYN}/t1", "1x1"): 9.9})
    swept = msgspec.structs.replace(swept, failures={f"{DYN}/s2": "2 streams were asked for, 1 is in force"})
    text = markdown.render(view(sweep=(swept,)), {})
    assert "## Settings of loading" not in text
    assert f"`{DYN}/s2` could not be tried: 2 streams were asked for, 1 is in force" in section(text)


def test_no_second_word_on_two_cameras_stands_beside_the_one_with_an_interval():
    assert not any(text.startswith("Two cameras") for text in takeaways(view()))


def test_tune_csv_has_a_row_for_each_candidate_and_workload(tmp_path):
    tune.write_csv(view(), tmp_path / "tune.csv")
    with (tmp_path / "tune.csv").open(newline="") as file:
        rows = {(row["candidate"], row["workload"]): row for row in csv.DictReader(file)}
    assert set(rows) == set(BATCH_WINS)
    assert {who: row["standing"] for who, row in rows.items() if row["standing"] == "recommended"} == {
        (B1, "1x1"): "recommended", (DYN, "1x2"): "recommended", (B1, "2x1"): "recommended"
    }  # fmt: skip
    assert rows[DYN, "1x1"]["gain"] == ""
    assert float(rows[B1, "2x1"]["gain_low"]) < 21 / 18 < float(rows[B1, "2x1"]["gain_high"])
    assert rows[STATIC, "1x1"]["peak_timed_bytes"] == "200000000"


def test_another_run_has_neither_the_section_nor_the_file(tmp_path):
    other = view(shapes=())
    assert "Which shape" not in markdown.render(other, {})
    assert list(tune.lines(other)) == []
    tune.write_csv(other, tmp_path / "tune.csv")
    assert not (tmp_path / "tune.csv").exists()


def test_a_tune_without_timings_has_no_answer():
    assert answer(view({})).startswith("**No answer**")
