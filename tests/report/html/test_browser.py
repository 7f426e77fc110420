"""The page in a real browser: Chromium, from disk."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest

from tests.report.html import made

pytestmark = pytest.mark.slow
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
SHADES = ("light", "dark")
TIMED = len(made.NAMES)


@contextlib.contextmanager
def opened(browser, path, **options):
    """Open the page; no error may be logged and no request may leave, whatever is done with it."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    asked, errors = [], []

    def route(one):
        asked.append(one.request.url)
        if one.request.url == path.as_uri():
            one.continue_()
        else:
            one.abort()

    context.route("**/*", route)
    page = context.new_page()
    page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("dialog", lambda dialog: (errors.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.goto(path.as_uri())
    page.wait_for_selector(".chart svg")
    yield page
    assert errors == []
    assert [url for url in asked if url != path.as_uri()] == []
    context.close()


@pytest.fixture(scope="module")
def page(browser, page_path):
    with opened(browser, page_path) as page:
        yield page


@pytest.fixture
def fresh(page):
    page.reload()
    page.wait_for_selector(".chart svg")
    return page


def keys(page):
    return page.eval_on_selector_all("#candidates tbody tr:not([hidden])", "rows => rows.map(row => row.dataset.key)")


def marks(page, chart, mark):
    """Return how many marks of one kind each panel of a chart has."""
    return page.eval_on_selector_all(
        f"[data-chart={chart}] .plot svg", f"all => all.map(one => one.querySelectorAll('.m-{mark} > *').length)"
    )


def test_a_click_on_a_head_sorts_and_a_second_one_turns_it_round(fresh):
    before = keys(fresh)
    head = fresh.locator("#candidates th", has_text="1x1 ms")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    fastest_first = [f"{name}/fp32/dyn" for name in reversed(made.NAMES)]
    assert keys(fresh) == [*fastest_first, "k/fp32/dyn", "l/fp32/dyn"], "what was not measured goes last"
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert keys(fresh) == before
    assert fresh.locator("#candidates th[aria-sort]").count() == 1


def test_the_table_sorts_and_filters_by_keyboard_alone(fresh):
    fresh.locator("#candidates th", has_text="size").locator("button").focus()
    fresh.keyboard.press("Enter")
    assert keys(fresh)[:2] != [made.REFERENCE, "b/fp32/dyn"], "k and l are the smallest"
    fresh.keyboard.press("Space")
    assert keys(fresh)[0] == "j/fp32/dyn"
    fresh.locator("#filter").focus()
    fresh.keyboard.type("recomm")
    assert keys(fresh) == ["b/fp32/dyn"]
    fresh.locator("#filter").press("Tab")
    assert fresh.evaluate("document.activeElement.type") == "checkbox"


def test_the_filter_takes_words_and_verdicts_and_says_how_many_are_left(fresh):
    fresh.fill("#filter", "<script>")
    assert keys(fresh) == [f"{made.HOSTILE}/fp32/dyn"]
    assert fresh.inner_text("#count") == "1 of 12 Candidates"
    fresh.fill("#filter", "")
    for verdict in ("recommended", "reference", "accepted", "undecided", "rejected"):
        fresh.uncheck(f".tools input[value={verdict}]")
    assert keys(fresh) == ["k/fp32/dyn", "l/fp32/dyn"]
    assert fresh.inner_text("#count") == "2 of 12 Candidates"


def test_every_chart_has_a_mark_for_each_figure(page):
    assert marks(page, "accuracy", "dots") == [12] * 4
    assert marks(page, "accuracy", "intervals") == [TIMED] * 4
    assert marks(page, "deltas", "dots") == [9]
    assert marks(page, "latency", "dots") == marks(page, "latency", "p95") == [TIMED] * 3
    assert marks(page, "parts", "bars") == [3 * TIMED]
    assert marks(page, "throughput", "bars") == marks(page, "throughput", "intervals") == [TIMED] * 3
    assert marks(page, "jobs", "bars") == [TIMED] * 4
    assert marks(page, "costs", "bars") == [TIMED, TIMED, TIMED, 12, TIMED]
    assert marks(page, "classes", "dots") == [TIMED] * 2
    assert marks(page, "tradeoff", "dots") == [TIMED]
    assert marks(page, "tradeoff", "limit") == [2], "the margin and the budget"
    assert marks(page, "tradeoff", "front") == [1]


def test_the_time_line_has_a_strip_a_candidate_for_the_workload_that_is_chosen(fresh):
    def strips():
        return fresh.locator("[data-chart=timeline] .m-strips path").count()

    def figures():
        return fresh.locator("[data-chart=timeline] .m-figures").all_text_contents()

    assert strips() == TIMED
    assert fresh.locator("[data-chart=timeline] .m-flagged line").count() == 5 * TIMED
    assert fresh.locator("[data-chart=timeline] .m-telemetry path").count() == 1
    before = figures()
    fresh.check("[data-chart=timeline] input[value='2x1']")
    assert strips() == TIMED
    assert figures() != before


def test_both_sides_of_each_picture_are_drawn_with_their_boxes(page):
    assert page.locator("#images .pair").count() == 18
    assert page.locator("#images .side rect.both").count() == page.locator("#images .side rect.one").count() == 36
    wide = page.eval_on_selector_all("#images .side use", "all => all.map(one => one.getBoundingClientRect().width)")
    assert min(wide) > 100


def test_names_that_mean_harm_stay_text(page):
    assert made.HOSTILE in page.inner_text("#candidates")
    assert made.QUOTES.rpartition("/")[2] in page.inner_text("h1"), "a path, of which the name is shown"
    assert any(made.HOSTILE in text for text in page.locator("[data-chart=latency] text").all_text_contents())
    assert page.locator("main script, main img, main a[href^=http]").count() == 0


@pytest.mark.parametrize("shade", SHADES)
def test_axe_finds_nothing_serious(browser, page_path, shade):
    with opened(browser, page_path, color_scheme=shade, bypass_csp=True) as page:
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        page.add_script_tag(content=AXE.read_text())
        found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    grave = [(one["id"], [node["html"][:200] for node in one["nodes"]][:3]) for one in found
             if one["impact"] in ("serious", "critical")]  # fmt: skip
    assert grave == []


def test_dark_follows_the_system_and_the_button_turns_it_round(browser, page_path):
    def ground(page):
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in re.findall(r"\d+", colour)[:3])

    with opened(browser, page_path, color_scheme="dark") as page:
        assert ground(page) < 150
        page.click("#theme")
        assert ground(page) > 600
        page.reload()
        assert ground(page) > 600, "the choice is kept"
        page.emulate_media(media="print", color_scheme="dark")
        assert ground(page) > 600


@pytest.mark.parametrize("width", [360, 768])
def test_no_page_scrolls_sideways_on_a_phone(browser, page_path, width):
    with opened(browser, page_path, viewport={"width": width, "height": 740}) as page:
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        charts = page.eval_on_selector_all(".chart svg", "all => all.map(one => one.getBoundingClientRect().right)")
        assert max(charts) <= width
        assert marks(page, "accuracy", "dots") == [12] * 4


def test_charts_are_drawn_anew_for_another_width(browser, page_path):
    with opened(browser, page_path) as page:
        before = page.locator("[data-chart=tradeoff] svg").get_attribute("width")
        page.set_viewport_size({"width": 500, "height": 700})
        page.wait_for_function("document.querySelector('[data-chart=tradeoff] svg').getAttribute('width') < 500")
        assert int(before) > 1000


def test_on_paper_all_is_unfolded_dark_on_white_and_within_the_sheet(browser, page_path):
    with opened(browser, page_path, color_scheme="dark", viewport={"width": 718, "height": 1000}) as page:
        page.emulate_media(media="print")
        assert not page.locator("header").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 718
        right = page.eval_on_selector_all("#candidates td", "all => all.map(one => one.getBoundingClientRect().right)")
        assert max(right) <= 718
        assert page.locator("details table").first.evaluate("one => one.getBoundingClientRect().height") > 20
        assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")


def test_without_javascript_the_tables_and_the_answer_stand(browser, page_path):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(page_path.as_uri())
    assert "Deploy b/fp32/dyn" in page.inner_text("#answer")
    assert page.locator("#candidates tbody tr").count() == 12
    assert not page.locator(".tools").is_visible()
    assert not page.locator("#theme").is_visible()
    context.close()
