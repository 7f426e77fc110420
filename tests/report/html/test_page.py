"""What stands in the page as it is written, before any script runs."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import msgspec
import numpy as np
import pytest

from bakeoff.records import Accuracy, Trial
from bakeoff.report import html
from bakeoff.report.html import images, page, prose, rows, timeline, tradeoff
from bakeoff.report.html.charts import CLASSES, charts
from bakeoff.report.table import View
from bakeoff.store import RunFolder
from tests.report.html import made
from tests.report.test_report import TIMINGS, record
from tests.test_judge import trial


class Reader(HTMLParser):
    """Collects the tags and the text that a browser would show without a script."""

    def __init__(self):
        super().__init__()
        self.tags, self.text, self.handlers, self.hidden = [], [], [], 0

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.handlers += [name for name, _ in attributes if name.startswith("on")]
        self.hidden += tag in ("script", "style")

    def handle_endtag(self, tag):
        self.hidden -= tag in ("script", "style")

    def handle_data(self, data):
        if not self.hidden:
            self.text.append(data)


def read(text):
    reader = Reader()
    reader.feed(text)
    return reader, " ".join(" ".join(reader.text).split())


def bare(tmp_path, run, **arrays):
    with RunFolder.create(tmp_path / "run") as folder:
        folder.save(run)
        return html.render(View.make(run, arrays.get("timings", {})), folder)


def test_everything_but_the_charts_is_there_without_a_script(page_path):
    reader, text = read(page_path.read_text())
    for said in ("Deploy b/fp32/dyn", "l is not installed; pip install l", "± is half", "95% interval"):
        assert said.replace("± is half", "±") in text
    assert made.HOSTILE in text
    assert text.count(made.QUOTES) > 5
    assert "98.5%" in text, "chances of meeting a Requirement"
    assert "within 15 ms at p95" in text
    assert {"answer", "table", "accuracy", "speed", "tradeoff", "timeline", "costs", "classes", "images", "method"} <= {
        attributes.get("id") for _, attributes in reader.tags
    }


def test_no_tag_or_handler_comes_from_a_name(page_path):
    reader, _ = read(page_path.read_text())
    assert reader.handlers == []
    assert [tag for tag, _ in reader.tags if tag in ("img", "iframe", "object", "embed", "link", "base")] == []
    assert [one for tag, one in reader.tags if tag == "script" and "src" in one] == []
    assert all(one.get("href", "#").startswith(("#", "data:")) for _, one in reader.tags)


def test_the_policy_allows_the_scripts_of_the_page_and_no_request(page_path):
    reader, _ = read(page_path.read_text())
    (policy,) = [one["content"] for _, one in reader.tags if one.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-inline" not in policy.split("style-src")[0]
    assert "http" not in policy


def test_data_cannot_end_its_script():
    text = page.embedded({"name": "</script><!--\u2028&"})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"name": "</script><!--\u2028&"}


def test_links_and_images_of_markdown_stay_text():
    assert "<a" not in prose.inline("[x](http://x)")
    assert "<img" not in prose.inline("![x](http://x)")
    assert "<script" not in prose.blocks(["<script>", "`<script>`"])


def test_a_page_of_twelve_candidates_with_pictures_is_below_5_mb(page_path):
    assert page_path.read_text().count("data:image/jpeg;base64,") >= 18
    assert page_path.stat().st_size < 5_000_000


def test_pictures_that_have_no_room_are_left_out_and_counted(run_folder, monkeypatch):
    monkeypatch.setattr(images, "BUDGET_BYTES", 100_000)
    view = View.of(run_folder)
    gallery = images.gallery(view, rows.rows(view), run_folder)
    assert sum(map(len, gallery.pictures.values())) < 100_000
    assert gallery.left_out == 18 - sum(len(pairs) for _, pairs in gallery.shown)
    assert gallery.left_out > 0


def test_boxes_are_told_apart_by_whether_the_other_side_has_them(run_folder):
    view = View.of(run_folder)
    gallery = images.gallery(view, rows.rows(view), run_folder)
    for _, pairs in gallery.shown:
        for pair in pairs:
            assert [box.word for box in pair.reference] == [box.word for box in pair.own] == ["both", "one"]
    assert gallery.frame_wh[3] == (1280, 960)
    assert pair.reference[0].left == pytest.approx(10 * 1280 / 64, rel=0.1), "in frame pixels"


def test_a_kept_image_outside_of_the_run_is_not_read(run_folder):
    one = msgspec.structs.replace(View.of(run_folder).lines[1].trial.agreement.worst[0], kept="../../x.jpg")
    (run_folder.path.parent.parent / "x.jpg").write_bytes((run_folder.path / "images" / "0.jpg").read_bytes())
    assert images._picture(run_folder.path, one) is None


def test_the_front_is_what_no_other_beats_in_both():
    assert tradeoff.front([(1, 0.5), (2, 0.6), (3, 0.6), (3, 0.5), (1, 0.5)]) == [True, True, False, False, True]


def test_a_line_is_thinned_to_medians_and_unknown_points_are_left_out():
    x, y = timeline.thin(np.arange(1500), np.where(np.arange(1500) % 10 == 3, 99.0, 1.0))
    assert (len(x), set(y)) == (timeline.POINTS, {1.0})
    assert timeline.thin(np.arange(3), np.array([1.0, np.nan, 3.0])) == ([0.0, 2.0], [1.0, 3.0])


@pytest.mark.parametrize(
    "change",
    [
        {"trials": 1},
        {"finished": None},
        {"settings": {"speed": False}},
        {"settings": {"accuracy": False}},
        {"verdicts": ()},
        {"dataset": None},
        {"takeaways": ()},
    ],
    ids=str,
)
def test_a_run_that_lacks_something_renders(tmp_path, change):
    run = made.run_record()
    if "trials" in change:
        change = {"trials": run.trials[:1], "verdicts": run.verdicts[:1]}
    if "settings" in change:
        change = {"settings": msgspec.structs.replace(run.settings, **change["settings"])}
    _, text = read(bare(tmp_path, msgspec.structs.replace(run, **change)))
    assert "What was run" in text
    if "finished" in change:
        assert "This Run was interrupted" in text


def test_an_imported_run_shows_its_figures_and_says_that_they_have_no_intervals(tmp_path):
    figures = {"latency_1x1_ms": 12.5, "latency_1x2_ms": 20.0, "val_map50_95": 0.61, "size_bytes": 5e6}
    lines = [
        Trial(candidate=trial(name).candidate, reported={**figures, "latency_1x1_ms": ms})
        for name, ms in (("a", 12.5), ("b", 6.25))
    ]
    run = msgspec.structs.replace(record(lines, speed=False), imported="study.csv", verdicts=())
    written = bare(tmp_path, run)
    _, text = read(written)
    assert "Somebody else's figures, from study.csv" in text
    assert "where no interval stands, there is none" in text
    assert "6.25" in text
    charts = json.loads(re.search(r'id="data">(.*?)</script>', written)[1])["charts"]
    assert {mark["value"] for mark in charts["latency"]["panels"][0]["marks"]} == {12.5, 6.25}
    assert all("low" not in mark for panel in charts["accuracy"]["panels"] for mark in panel["marks"])
    assert len(charts["tradeoff"]["points"]) == 2


def test_a_class_that_loses_most_has_a_panel_where_there_are_many(tmp_path):
    run = made.run_record()
    one = run.trials[0].accuracy.per_class[0]
    many = tuple(
        msgspec.structs.replace(one, name=f"class {i}", ap50_95=0.5 - (0.3 if i == 17 else 0.001 * i), deltas={})
        for i in range(40)
    )
    accuracy: Accuracy = msgspec.structs.replace(run.trials[0].accuracy, per_class=many)
    view = View.make(msgspec.structs.replace(run, trials=(msgspec.structs.replace(run.trials[0], accuracy=accuracy),)), TIMINGS)  # fmt: skip  # noqa: E501
    panels = [panel["title"] for panel in charts(view, rows.rows(view))["classes"]["panels"]]
    assert len(panels) == CLASSES
    assert "class 17" in panels
