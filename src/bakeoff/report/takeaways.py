"""Takeaways in words, by rules, from the table's lines alone; the order of lines never changes them."""

from __future__ import annotations

from bakeoff import judge
from bakeoff.report import tune
from bakeoff.report.table import Line, View
from bakeoff.stats import Ratio

EASY_OPTIONS = frozenset({"channels-last"})  # one line of the user's own code, no new runtime


def answer(view: View) -> str:
    """Return the recommendation in a sentence or two."""
    run = view.run
    reference = view.reference
    if reference.trial.status != "ok":
        return (
            f"**No answer**: the reference, `{reference.key}`, is {reference.trial.status} ({reference.trial.reason})."
        )
    if view.tuned is not None:
        return tune.answer(view)
    best = view.recommended
    if best is None:
        if not any(line.latencies for line in view.lines):
            if any(line.trial.timed for line in view.lines):
                return "**No answer**: this Run's timing samples are missing, so nothing can be recommended."
            if run.settings.speed:
                return "**No answer yet**: nothing was timed."
            if not run.settings.labels:
                return "Agreement only: there were no labels and nothing was timed, so nothing is recommended."
            miss = "" if view.miss is None else f" {view.miss.words}"
            return f"Accuracy only: nothing was timed, so nothing is recommended.{miss}"
        if not run.settings.labels and run.settings.accuracy:
            return (
                "**No recommendation**: without labels a loss of accuracy cannot be told; see how each agrees with "
                f"the reference, `{reference.key}`, and give labels to decide."
            )
        if not run.settings.accuracy:
            return "Speed only: accuracy was not measured, so nothing is recommended."
        miss = "" if view.miss is None else f" {view.miss.words}"
        if view.miss is not None and not view.miss.reference_meets:
            return f"**Nothing meets the Requirements**: {_why_none(view)}.{miss}"
        return f"**Stay with `{reference.key}`**: {_why_none(view)}.{miss}"
    prefer = run.settings.requirements.prefer
    text = f"**Deploy `{best.key}`** ({best.trial.candidate.label}): {_gain(view, best, prefer)}, {_cost(best)}."
    if best.verdict.tied_with:
        tied = ", ".join(f"`{key}`" for key in best.verdict.tied_with)
        text += f" These measurements can't tell it from {tied}."
    if unsure := judge.doubt(best.verdict):
        text += f" {unsure}"
    return text


def _gain(view: View, best: Line, prefer: str) -> str:
    reference = view.reference
    if prefer == "size" and best.trial.artifact is not None:
        return f"the smallest accepted one, {best.trial.artifact.size_bytes / 1e6:.1f} MB"
    if prefer == "accuracy" and best.trial.accuracy is not None:
        return f"the most accurate accepted one, mAP50-95 {best.trial.accuracy.map50_95:.3f}"
    if prefer == "throughput":
        rates = {w: latency.frames_per_s for w, latency in best.latencies.items()}
        workload = max(rates, key=lambda w: rates[w])
        return f"{rates[workload]:.1f} frames/s at {workload}"
    ratio = best.speedups.get("1x1")
    if ratio is None:
        return "the fastest accepted one"
    milliseconds = best.latencies["1x1"].median_ms
    own = reference.latencies["1x1"].median_ms
    return f"{times(ratio)} as fast as `{reference.key}` at 1x1 ({milliseconds:.1f} ms against {own:.1f} ms)"


def _cost(line: Line) -> str:
    delta = line.trial.map_delta
    if delta is None:
        return "accuracy not measured"
    if delta.low <= 0 <= delta.high:
        interval = f"{delta.value:+.4f}, 95% interval {delta.low:+.4f} to {delta.high:+.4f}"
        return f"with no measurable change of mAP50-95 ({interval})"
    word = "gains" if delta.value > 0 else "loses"
    return f"which {word} mAP50-95: {delta.value:+.4f} ({delta.low:+.4f} to {delta.high:+.4f})"


def _why_none(view: View) -> str:
    verdicts = [line.verdict.verdict for line in view.lines if line.key != view.run.reference]
    if not any(verdicts):
        return "no other Candidate was measured"
    if "accepted" in verdicts:
        requirements = view.run.settings.requirements
        if requirements.prefer == "latency" and not any("1x1" in line.latencies for line in view.lines):
            return "1x1 was not timed, and latency is judged by it"
        if view.miss is not None:
            return "no accepted Candidate is shown to meet every limit"
        words = {"accuracy": "more accurate", "size": "smaller", "throughput": "of higher throughput"}
        return f"no accepted Candidate is {words.get(requirements.prefer, 'faster')}"
    undecided = verdicts.count("undecided")
    if undecided:
        return f"no Candidate is proven to keep the accuracy asked for ({undecided} undecided: more images would tell)"
    return "every Candidate measured loses more accuracy than allowed"


def takeaways(view: View) -> list[str]:
    """Return short statements, each true of this Run's figures."""
    if not any(line.latencies for line in view.lines):
        return []
    ok = [line for line in view.lines if line.trial.status == "ok"]
    return [
        text
        for text in (
            _fastest(view, ok),
            _easy(ok),
            _second_stream(view, ok),
            _avoid(ok),
            _over_budget(ok),
            _no_gain(ok),
            _undecided(ok),
        )
        if text
    ]


def _fastest(view: View, lines: list[Line]) -> str:
    timed = [line for line in lines if "1x1" in line.latencies]
    if len(timed) < 2:
        return ""
    fast = min(timed, key=lambda line: (line.latencies["1x1"].median_ms, line.key))
    ratio = fast.speedups.get("1x1")
    if ratio is None:
        return f"Nothing measured here is faster at 1x1 than the reference, `{fast.key}`."
    end = f"; verdict on its accuracy: {fast.verdict.verdict}" if fast.verdict.verdict else ""
    return f"Fastest at 1x1: `{fast.key}`, {times(ratio)} as fast as the reference{end}."


def _easy(lines: list[Line]) -> str:
    easy = [
        (line, ratio)
        for line in lines
        if EASY_OPTIONS & set(line.trial.candidate.options) and (ratio := line.speedups.get("1x1")) is not None
    ]
    for line, ratio in easy:
        if ratio.low is not None and ratio.low > 1 and line.verdict.verdict in ("accepted", "recommended", ""):
            return f"Least effort: `{line.key}` is one line of code and {times(ratio)} as fast as the reference."
    return ""


def _second_stream(view: View, lines: list[Line]) -> str:
    """What serving two cameras costs: by a batch of two, or by two streams."""
    both = [line for line in lines if {"1x1", "1x2", "2x1"} <= set(line.latencies)]
    if not both or view.tuned is not None:  # a tune asks that with an interval
        return ""
    best = view.recommended if view.recommended in both else min(both, key=lambda line: (line.two_frames_ms, line.key))
    assert best is not None
    batch, streams = best.latencies["1x2"].median_ms, best.latencies["2x1"].median_ms
    way = "one batch of two" if batch < streams else "two streams"
    return (
        f"Two cameras on `{best.key}`: one frame of each takes {min(batch, streams):.1f} ms as {way} "
        f"({max(batch, streams):.1f} ms the other way; one frame alone {best.latencies['1x1'].median_ms:.1f} ms)."
    )


def _avoid(lines: list[Line]) -> str:
    lost = sorted(
        (line.trial.map_delta.value, line.key, line.verdict.why)
        for line in lines
        if line.verdict.verdict == "rejected" and line.trial.map_delta is not None
    )
    named = "; ".join(f"`{key}` ({why})" for _, key, why in lost)
    return f"Avoid: {named}." if lost else ""


def _over_budget(lines: list[Line]) -> str:
    over = sorted(line.key for line in lines if line.verdict.verdict == "accepted" and " within " in line.verdict.why)
    named = ", ".join(f"`{key}`" for key in over)
    return f"Accurate enough, but not shown to meet every limit: {named}." if over else ""


def _no_gain(lines: list[Line]) -> str:
    slow = sorted(
        line.key for line in lines if (r := line.speedups.get("1x1")) is not None and r.high is not None and r.high < 1
    )
    named = ", ".join(f"`{key}`" for key in slow)
    return f"Slower than the reference on this machine: {named}." if slow else ""


def _undecided(lines: list[Line]) -> str:
    doubts = sorted((line.key, line.verdict.why) for line in lines if line.verdict.verdict == "undecided")
    return "Undecided: " + "; ".join(f"`{key}`: {why}" for key, why in doubts) + "." if doubts else ""


def times(ratio: Ratio) -> str:
    """Return a speedup in words, with its interval."""
    if ratio.low is None or ratio.high is None:
        return f"{ratio.value:.2f} times (no interval)"
    return f"{ratio.value:.2f} times [{ratio.low:.2f}, {ratio.high:.2f}]"
