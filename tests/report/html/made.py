"""A Run of twelve Candidates made of records and samples, with pictures, telemetry and names that mean harm."""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import numpy as np

from bakeoff.accuracy.boxes import DEPLOYED, DetectionTable
from bakeoff.records import (
    Agreement,
    ClassMetrics,
    Dataset,
    Estimate,
    Failure,
    ImageDifference,
    Requirements,
    RunRecord,
    SessionFacts,
    Settings,
    Takeaway,
    Trial,
    Verdict,
)
from bakeoff.store import RunFolder
from tests.report.test_report import record, samples
from tests.test_judge import FINE, LOST, REFERENCE, UNSURE, trial

HOSTILE = "<script>alert(1)</script>"
QUOTES = "\"'></script><img src=x onerror=alert(2)>"
NAMES = ("a", "b", "c", "d", HOSTILE, "f", "g", "h", "i", "j")  # timed; two more failed and were skipped
MS = {name: 20.0 - 1.5 * i for i, name in enumerate(NAMES)}
WORKLOADS = ("1x1", "1x2", "2x1")
IMAGES = 40  # in the Run; each Candidate differs on three of them


def settings(**fields: object) -> Settings:
    asked = Requirements(latency_budget_ms=15.0, percentile=95.0, max_size_bytes=20_000_000)
    return Settings(model="m.pt", data="d.yaml", requirements=asked, command=("bakeoff", "run", QUOTES), **fields)


def whole(number: int, name: str) -> Trial:
    """One Candidate that went well, with everything that the page shows."""
    delta = None if name == "a" else (FINE, UNSURE, LOST)[number % 3] if number > 1 else FINE
    made = trial(name, delta, size=(number + 1) * 3_000_000, convert_s=1.5 * number, load_s=0.2, first_run_ms=30.0,
                 peak_memory_bytes=10**8, session=SessionFacts(device="cpu", precision="fp32"))  # fmt: skip
    classes = tuple(
        ClassMetrics(name=one, boxes=5, precision=0.9, recall=0.9, ap50=0.9, ap50_95=0.6 - 0.01 * number,
                     intervals={"ap50_95": (0.5, 0.7)})
        for one in ("spur", QUOTES)
    )  # fmt: skip
    intervals = dict.fromkeys(("precision", "recall", "map50", "map50_95"), (0.55, 0.95))
    assert made.accuracy is not None
    accuracy = msgspec.structs.replace(made.accuracy, per_class=classes, intervals=intervals)
    made = msgspec.structs.replace(made, accuracy=accuracy)
    if name == "a":
        return made
    worst = tuple(
        ImageDifference(image=f"/data/{QUOTES}{index}.jpg", index=index, difference=2.0 - i, lost=1, added=1, flips=0,
                        kept=f"images/{index}.jpg")
        for i, index in enumerate(range(3 * number % IMAGES, 3 * number % IMAGES + 2))
    )  # fmt: skip
    share = Estimate(value=0.9, low=0.8, high=0.95)
    agreement = Agreement(confidence=0.25, reference_boxes=80, boxes=80, matched_share=share, mean_iou=share,
                          score_shift=None, class_flips=None, worst=worst)  # fmt: skip
    return msgspec.structs.replace(made, agreement=agreement)


def trials() -> tuple[Trial, ...]:
    failed = Failure(step="load", kind="signal", cause=HOSTILE, log="logs/k.log", log_tail=QUOTES, reproduce=QUOTES)
    return (
        *(whole(number, name) for number, name in enumerate(NAMES)),
        trial("k", failure=failed),
        trial("l", skip="l is not installed; pip install l"),
    )


def detections(shift: float) -> DetectionTable:
    """Two boxes on every image: the first stands where it stood, the second moves away with `shift`."""
    image = np.repeat(np.arange(IMAGES, dtype=np.int32), 2)
    boxes = np.tile(np.array([[10, 10, 30, 30], [40, 20, 60, 40]], np.float32), (IMAGES, 1))
    boxes[1::2, ::2] += np.float32(shift)
    scores = np.tile(np.array([0.9, 0.6], np.float32), IMAGES)
    return DetectionTable(image=image, xyxy=boxes, scores=scores, classes=np.tile(np.array([0, 1], np.int32), IMAGES))


def run_record(**fields: object) -> RunRecord:
    made = record(trials(), workloads=settings().workloads)
    dataset = Dataset(path="d.yaml", class_names=("spur", QUOTES), images=IMAGES, boxes=80, sha256="0",
                      background_images=0, duplicate_boxes=0)  # fmt: skip
    verdicts = tuple(_verdict(number, one) for number, one in enumerate(trials()))
    said = Takeaway(rule="fastest", candidates=("b/fp32/dyn",), figures={}, text=f"Fastest: `{HOSTILE}` [x](http://x)")
    model = msgspec.structs.replace(made.model, path=f"/models/{QUOTES}.pt", class_names=("spur", QUOTES))
    return msgspec.structs.replace(
        made, settings=settings(), dataset=dataset, model=model, verdicts=verdicts, takeaways=(said,), **fields
    )


def _verdict(number: int, one: Trial) -> Verdict:
    if number >= len(NAMES):
        return Verdict(key=one.candidate.key, verdict="")
    word = ("reference", "recommended")[number] if number < 2 else ("accepted", "undecided", "rejected")[number % 3]
    tied = ("d/fp32/dyn",) if word == "recommended" else ()
    chances = {"latency-budget": 0.985, "max-map-drop": 0.5} if word != "reference" else {}
    return Verdict(key=one.candidate.key, verdict=word, why=f"{word}: {QUOTES}", tied_with=tied, chances=chances)


def write(path: Path) -> RunFolder:
    """Write the Run's folder, with pictures as busy as photographs are."""
    folder = RunFolder.create(path)
    folder.save(run_record())
    arrays = {}
    for name, ms in MS.items():
        for number, workload in enumerate(WORKLOADS):
            one = samples(ms * (1 + number / 2), streams=2 if workload == "2x1" else 1, rounds=60)
            fields = one.arrays() | {"window": np.arange(60)}
            arrays |= {f"timing/{name}/fp32/dyn:{workload}/{field}": array for field, array in fields.items()}
    windows = {"start_ns": np.arange(60) * 10**9, "end_ns": np.arange(60) * 10**9 + 5, "cpu_mhz": np.full(60, 3000.0),
               "busy": np.arange(60) < 5, "throttled": np.zeros(60, bool)}  # fmt: skip
    arrays |= {f"telemetry/{name}": array for name, array in windows.items()}
    arrays |= {"images/names": np.array([f"{i}.jpg" for i in range(IMAGES)])}
    arrays |= {"images/frame_wh": np.full((IMAGES, 2), (1280, 960), np.int32)}
    for number, name in enumerate(NAMES):
        arrays |= detections(0.0 if name == "a" else 15.0 + number).stored(f"{name}/fp32/dyn", DEPLOYED)
    folder.put("all", arrays)
    folder.consolidate()
    (path / "images").mkdir()
    rng = np.random.default_rng(0)
    for index in range(IMAGES):
        frame = cv2.resize(rng.integers(0, 255, (120, 160, 3), np.uint8), (640, 480), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(path / "images" / f"{index}.jpg"), frame)
    return folder


__all__ = ["HOSTILE", "IMAGES", "NAMES", "QUOTES", "REFERENCE", "run_record", "settings", "write"]
