"""What to mind: a second camera, losses, what is slower, what failed, what exceeds a limit."""

from __future__ import annotations

from bakeoff.judge import enough_samples
from bakeoff.records import Estimate, Requirements, Takeaway
from bakeoff.speed.samples import MS
from bakeoff.stats import percentile
from bakeoff.takeaways.shown import SINGLE, measured, slower_than_reference
from bakeoff.takeaways.words import BOUNDS, NO_INTERVAL, Words, by_key, code
from bakeoff.view import Line, View

KNOWN_PERCENTILES = {50.0: "median_ms", 95.0: "p95_ms", 99.0: "p99_ms"}


def second_camera(view: View) -> Takeaway | None:
    """What serving two cameras takes: by a batch of two, or by two streams."""
    both = [
        line
        for line in view.lines
        if line.trial.status == "ok" and {SINGLE, "1x2", "2x1"} <= set(line.latencies)
    ]  # fmt: skip
    if not both or view.tuned is not None:  # a tune asks that with an interval
        return None
    best = min(both, key=lambda line: (line is not view.recommended, line.two_frames_ms, line.key))
    words = Words()
    one, batch, streams = (best.latencies[workload].median_ms for workload in (SINGLE, "1x2", "2x1"))
    shown = {
        "one batch of two": words.ms(best, "latency_1x2_ms", batch),
        "two streams": words.ms(best, "latency_2x1_ms", streams),
    }
    way, other = shown if batch < streams else reversed(shown)
    text = (
        f"Two cameras on {code(best.key)}: one frame of each takes {shown[way]} as {way} ({shown[other]} as {other}; "
        f"one frame alone {words.ms(best, 'latency_1x1_ms', one)}{f'; {NO_INTERVAL}' if best.trial.reported else ''})."
    )
    return words.say("second-camera", [best], text)


def avoid_loss(view: View) -> Takeaway | None:
    """Those that were rejected, the worst first."""
    rejected = [line for line in view.lines if line.trial.status == "ok" and line.verdict.verdict == "rejected"]
    if not rejected:
        return None
    ordered = sorted(rejected, key=lambda line: (0.0 if line.map_delta is None else line.map_delta.value, line.key))
    words = Words()
    shown = "; ".join(f"{code(line.key)} ({_losses(words, line, view)})" for line in ordered)
    return words.say("avoid-loss", ordered, f"Avoid, for what they lose: {shown}.")


def _losses(words: Words, line: Line, view: View) -> str:
    asked = view.run.settings.requirements
    margin = words.figure("max_map_drop", asked.max_map_drop, "g")
    parts = [f"{words.delta(line)}, {margin} is allowed"]
    recall = _recall(line)
    if asked.max_recall_drop is not None and recall is not None and recall.high < -asked.max_recall_drop:
        names = (f"{line.key}:op_recall_delta{bound}" for bound in BOUNDS)
        shown = words.interval(names, (recall.value, recall.low, recall.high), "+.4f")
        parts.append(f"recall {shown}, {words.figure('max_recall_drop', asked.max_recall_drop, 'g')} is allowed")
    return "; ".join(parts)


def _recall(line: Line) -> Estimate | None:
    point = line.trial.operating_point
    return None if point is None else point.deltas.get("recall")


def avoid_slow(view: View) -> Takeaway | None:
    """Those that are shown to be slower than the reference."""
    slow = by_key(line for line in measured(view) if slower_than_reference(view, line))
    if not slow:
        return None
    words = Words()
    shown = ", ".join(f"{code(line.key)} ({words.times(line)} as fast)" for line in slow)
    return words.say("avoid-slow", slow, f"Slower than the reference at 1x1: {shown}.")


def avoid_failed(view: View) -> Takeaway | None:
    """Those that failed, with the cause and the command that reproduces it."""
    failed = by_key(line for line in view.lines if line.trial.status == "failed")
    if not failed:
        return None
    parts = []
    for line in failed:
        failure = line.trial.failure
        command = f", reproduce with {code(failure.reproduce)}" if failure is not None and failure.reproduce else ""
        parts.append(f"{code(line.key)} ({code(line.trial.reason)}{command})")
    return Words().say("avoid-failed", failed, f"Failed here: {'; '.join(parts)}.")


def over_limit(view: View) -> Takeaway | None:
    """Those that keep the accuracy asked for, but not another Requirement, or are not shown to."""
    asked = view.run.settings.requirements
    words = Words()
    found = []
    for line in by_key(line for line in view.lines if line.verdict.verdict == "accepted"):
        broken = [*_too_slow(words, line, view, asked), *_too_large(words, line, asked)]
        if broken and line.trial.status == "ok":
            found.append((line, f"{code(line.key)} ({', '.join(broken)})"))
    if not found:
        return None
    shown = "; ".join(text for _, text in found)
    return words.say("over-limit", [line for line, _ in found], f"Accurate enough, but over a limit: {shown}.")


def _too_slow(words: Words, line: Line, view: View, asked: Requirements) -> list[str]:
    if asked.latency_budget_ms is None:
        return []
    value = _at(view, line, asked.percentile)
    if value is not None and value <= asked.latency_budget_ms:
        return []
    name = f"p{words.figure('percentile', asked.percentile, 'g')}"
    budget = words.figure("latency_budget_ms", asked.latency_budget_ms, "g")
    if value is None:
        return [f"{name} not shown to be within {budget} ms"]
    doubt = f" ({NO_INTERVAL})" if line.trial.reported else ""
    return [f"{name} {words.ms(line, f'latency_1x1_p{asked.percentile:g}_ms', value)}{doubt}, {budget} ms is allowed"]


def _at(view: View, line: Line, percent: float) -> float | None:
    """Return a percentile of the 1x1 latency in ms; `None` where the figures can't tell it."""
    samples, known = view.timings.get((line.key, SINGLE)), line.latencies.get(SINGLE)
    if samples is not None and enough_samples(samples.latency_ns.size, percent):
        return percentile(samples.latency_ns, percent) * MS
    if samples is None and known is not None and percent in KNOWN_PERCENTILES:
        value: float | None = getattr(known, KNOWN_PERCENTILES[percent])
        return value
    return None


def _too_large(words: Words, line: Line, asked: Requirements) -> list[str]:
    trial = line.trial
    size = trial.reported.get("size_bytes") if trial.artifact is None else trial.artifact.size_bytes
    peak = trial.peak_memory_bytes or trial.reported.get("peak_memory_bytes")  # as the judge takes it
    found = []
    for word, name, value, limit in (
        ("size", "size_bytes", size, asked.max_size_bytes),
        ("memory", "peak_memory_bytes", peak, asked.max_memory_bytes),
    ):
        if limit is not None and value is not None and value > limit:
            own = words.figure(f"{line.key}:{name}_mb", value / 1e6, ".1f")
            found.append(f"{word} {own} MB, {words.figure(f'max_{word}_mb', limit / 1e6, '.1f')} MB is allowed")
    return found
