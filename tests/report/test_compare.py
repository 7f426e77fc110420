from __future__ import annotations

from markdown_it import MarkdownIt

from bakeoff.records import CandidateChange, ComparedRun, Comparison, FigureChange, RuleFinding, RuleResult, SpeedChange
from bakeoff.report import compare

HOSTILE = "<script>alert(1)</script>|`x`\n# no heading\x1b[31m"
RUN = ComparedRun(
    path=f"/runs/{HOSTILE}", created="2026", finished=True, imported=False, model=HOSTILE, model_sha256="0" * 64,
    reference="a", recommended=HOSTILE,
)  # fmt: skip


def change(key: str, **fields) -> CandidateChange:
    return CandidateChange(key=key, **{"status_a": "ok", "status_b": "ok", **fields})


def comparison(*candidates: CandidateChange, **fields) -> Comparison:
    return Comparison(a=RUN, b=RUN, candidates=candidates, **fields)


def figure(low: float, high: float) -> dict[str, FigureChange]:
    return {"val_map50_95": FigureChange(a=0.6, b=0.6 + (low + high) / 2, delta=(low + high) / 2, low=low, high=high)}


def speed(low: float | None, high: float | None, untested: str = "") -> dict[str, SpeedChange]:
    return {
        "1x1": SpeedChange(
            a_ms=10, b_ms=5, ratio=2, drift_free=2 if low else None, drift_free_low=low, drift_free_high=high,
            untested=untested,
        )
    }  # fmt: skip


def test_the_summary_says_who_is_better_worse_faster_and_slower():
    found = comparison(
        change("a", accuracy=figure(0.01, 0.03), speed=speed(1.5, 2.5)),
        change("b", accuracy=figure(-0.03, -0.01), speed=speed(0.5, 0.9)),
        change("c", accuracy=figure(-0.03, 0.01), speed=speed(0.5, 1.9)),
        workloads=("1x1",),
    )
    accuracy, ratios = compare.summary(found)
    assert accuracy == "mAP50-95 differs for 2 of 3 Candidates; better: a; worse: b."
    assert ratios == "Speed differs in 2 of 3 drift-free ratios; faster: a at 1x1; slower: b at 1x1."


def test_what_could_not_be_compared_is_said_with_its_reason():
    accuracy, ratios = compare.summary(comparison(accuracy_refused="other images", speed_refused="another host"))
    assert accuracy == "Accuracy is not compared: other images."
    assert ratios == "Speed is not compared: no Workload was timed in both."
    found = comparison(change("a", speed=speed(None, None, "why")), workloads=("1x1",), speed_refused="another host")
    assert compare.summary(found)[1] == "Speed is shown, and not compared: another host."
    found = comparison(change("b", speed=speed(None, None, "why")), workloads=("1x1",))
    assert compare.summary(found)[1] == "Speed is shown, and not tested: why."


def test_candidates_that_came_went_or_turned_are_named():
    found = comparison(
        change("a", status_b=None),
        change("b", status_a=None),
        change("c", status_b="failed", reason_b="load: SIGSEGV"),
        change("d", verdict_a="accepted", verdict_b="rejected"),
    )
    assert compare.summary(found)[2:] == [
        "Only in A: a.", "Only in B: b.", "c: ok → failed (load: SIGSEGV)", "d: accepted → rejected",
    ]  # fmt: skip


RULES = (
    RuleResult(rule="size_bytes > 2", broken=tuple(RuleFinding(candidate=k, text="is 3") for k in "ab")),
    RuleResult(rule="status != ok", held=2),
    RuleResult(rule="x > +5%", missing=tuple(RuleFinding(candidate=k, text="another host") for k in "ab")),
)


def test_each_broken_rule_and_each_that_lacks_data_is_one_line():
    assert compare.rule_lines(comparison(rules=RULES)) == [
        "broken: size_bytes > 2: a: is 3; b: is 3",
        "insufficient data: x > +5%: a, b: another host",
    ]


def test_outside_text_stays_text_in_the_markdown_and_no_table_breaks():
    rule = RuleResult(rule=f"label == {HOSTILE}", broken=(RuleFinding(candidate=HOSTILE, text=HOSTILE),))
    candidate = change(
        HOSTILE, status_a="failed", reason_b=HOSTILE, accuracy=figure(-1, 1), speed=speed(0.9, 1.1), verdict_a=HOSTILE
    )
    found = comparison(candidate, workloads=("1x1",), notes=(HOSTILE,), rules=(rule,), passed=False)
    text = compare.markdown(found)
    assert "\x1b" not in text
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    page = parser.render(text)
    assert "<script>" not in page
    assert page.count("<h2>") == 1
    assert page.count("<h1>") == 0
    assert page.count("<table>") == 3
    for row in page.split("<tr>")[1:]:
        assert row.count("<td") in (0, 3, 5, 6)
    assert all("<" not in token.content or token.type != "html_inline" for token in parser.parse(text))


def test_the_markdown_says_whether_the_rules_are_kept():
    assert compare.markdown(comparison(rules=RULES, passed=False)).startswith("## bakeoff compare: a rule is broken")
    assert compare.markdown(comparison(rules=RULES[1:2])).startswith("## bakeoff compare: passed")
    assert compare.markdown(comparison()).startswith("## bakeoff compare\n")
