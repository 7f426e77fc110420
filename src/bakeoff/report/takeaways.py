"""The answer in words, and the takeaways (docs/takeaways.md) as the report shows them."""

from __future__ import annotations

from bakeoff import judge
from bakeoff import takeaways as drawn
from bakeoff.report import tune
from bakeoff.report.table import Line, View
from bakeoff.report.words import plain
from bakeoff.takeaways.words import Words, code


def answer(view: View) -> str:
    """Return the recommendation in a sentence or two."""
    run = view.run
    reference = view.reference
    if reference.trial.status != "ok":
        return (
            f"**No answer**: the reference, `{reference.key}`, is {reference.trial.status} "
            f"({code(reference.trial.reason)})."
        )
    if view.tuned is not None:
        return tune.answer(view)
    best = view.recommended
    if best is None:
        if not any(line.latencies or line.speedups for line in view.lines):
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
    text = f"**Deploy `{best.key}`** ({plain(best.trial.candidate.label)}): {_gain(view, best, prefer)}, {_cost(best)}."
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
    if prefer == "accuracy" and (value := best.accuracy("map50_95")) is not None:
        return f"the most accurate accepted one, mAP50-95 {value:.3f}"
    rates = {w: one.frames_per_s for w, one in best.latencies.items() if one.frames_per_s is not None}
    if prefer == "throughput" and rates:
        workload = max(rates, key=lambda w: rates[w])
        return f"{rates[workload]:.1f} frames/s at {workload}"
    if "1x1" not in best.speedups:
        return "the fastest accepted one"
    gain = f"{Words().times(best)} as fast as `{reference.key}` at 1x1"
    if "1x1" not in best.latencies or "1x1" not in reference.latencies:
        return gain
    own, theirs = (line.latencies["1x1"].median_ms for line in (best, reference))
    return f"{gain} ({own:.1f} ms against {theirs:.1f} ms)"


def _cost(line: Line) -> str:
    delta = line.map_delta
    if delta is None:
        return "accuracy not measured"
    if delta.low is None or delta.high is None:
        return f"with a change of mAP50-95 of {delta.value:+.4f} (no interval)"
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
    """Return the Run's takeaways in words; what is from outside stands in backticks."""
    return [one.text for one in drawn.of(view)]
