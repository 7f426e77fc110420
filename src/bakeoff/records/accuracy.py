"""What is known of a Candidate's accuracy."""

from __future__ import annotations

from bakeoff.records.base import Estimate, Intervals, Record


class ClassMetrics(Record, frozen=True, kw_only=True):
    """One class's figures; `None` where the ground truth has no box of it."""

    name: str
    boxes: int
    precision: float | None
    recall: float | None
    ap50: float | None
    ap50_95: float | None
    intervals: Intervals = {}  # of the four figures, by name
    deltas: dict[str, Estimate] = {}  # to the reference's, by name


class Accuracy(Record, frozen=True, kw_only=True):
    """Accuracy on the validation images; definitions in docs/accuracy.md."""

    images: int
    boxes: int
    detections: int
    precision: float
    recall: float
    map50: float
    map50_95: float
    confidence: float  # the threshold of best mean F1, at which precision and recall stand
    per_class: tuple[ClassMetrics, ...]
    coco: dict[str, float | None]
    intervals: Intervals = {}  # of precision, recall, map50 and map50_95


class ReliabilityBin(Record, frozen=True, kw_only=True):
    """Detections whose scores lie in one range: what they promise and how many are right."""

    detections: int
    confidence: float  # their mean score
    precision: float


class OperatingPoint(Record, frozen=True, kw_only=True):
    """What a deployed detector does at one threshold, the same for every Candidate; all classes together."""

    confidence: float  # to deploy; the figures stand at it where it was given, else at `fold_confidences`
    given: bool  # by --conf; otherwise the reference's best F1, cross-fitted
    fold_confidences: tuple[float, ...] = ()  # that of each half, found on the other half
    precision: Estimate
    recall: Estimate
    f1: Estimate
    false_alarms_per_image: Estimate
    misses_per_image: Estimate
    deltas: dict[str, Estimate] = {}  # to the reference's, by the names above
    restoring_confidence: float | None = None  # the highest that reaches the reference's recall
    restoring_false_alarms_per_image: float | None = None  # what it costs
    d_ece: Estimate | None = None  # detection expected calibration error
    d_ece_delta: Estimate | None = None
    reliability: tuple[ReliabilityBin, ...] = ()


class SizeAgreement(Record, frozen=True, kw_only=True):
    """Agreement on the boxes of one size (COCO's small, medium and large, by the reference's box)."""

    size: str
    reference_boxes: int
    matched_share: float | None  # of the reference's boxes
    mean_iou: float | None
    score_shift: float | None


class ImageDifference(Record, frozen=True, kw_only=True):
    """One image on which a Candidate differs from the reference; the boxes are in the Run's samples."""

    image: str  # its file
    index: int  # among the validation images
    difference: float
    lost: int  # boxes that only the reference has
    added: int  # boxes that only the Candidate has
    flips: int  # matched boxes of another class
    kept: str | None = None  # a copy of the frame, relative to the Run's folder


class Agreement(Record, frozen=True, kw_only=True):
    """How a Candidate's Detections agree with the reference's, at one confidence; needs no labels."""

    confidence: float
    reference_boxes: int
    boxes: int
    matched_share: Estimate  # 2 x matched / (reference's + Candidate's boxes)
    mean_iou: Estimate | None  # the following: of the matched boxes
    score_shift: Estimate | None  # Candidate's score minus the reference's
    class_flips: Estimate | None  # share whose class is another
    by_size: tuple[SizeAgreement, ...] = ()
    worst: tuple[ImageDifference, ...] = ()


class GroupParity(Record, frozen=True, kw_only=True):
    """Raw outputs against another's on the same images, for one group of channels of one output."""

    output: str
    group: str  # boxes (pixels) or scores (0..1)
    max_error: float
    mean_error: float
    confident_error: float | None  # mean over the anchors that score 0.25 or more on either side


class Parity(Record, frozen=True, kw_only=True):
    """Raw outputs on real images, against the reference's and, quantised, against the float emulation of its graph."""

    images: int
    constant: tuple[str, ...] = ()  # groups that are the same on all validation images
    reference: tuple[GroupParity, ...] = ()
    emulation: tuple[GroupParity, ...] = ()


class CalibrationDraw(Record, frozen=True, kw_only=True):
    """One more conversion of an INT8 Candidate, from another draw of calibration images."""

    seed: int
    map50_95: float
    map50: float
    recall: float  # at the operating point
    map_delta: Estimate


class LayerError(Record, frozen=True, kw_only=True):
    """What quantising one layer alone does to the detections on calibration images."""

    layer: str  # the ONNX node's name
    error: float


class Recipe(Record, frozen=True, kw_only=True):
    """Which layers an INT8 conversion keeps in float, and why; one for every backend. Written as `recipe.json`."""

    model_sha256: str
    calibration_images: int
    calibration_seed: int
    ranking: tuple[LayerError, ...]  # of all quantisable layers, the worst first
    float_layers: tuple[str, ...] = ()  # of the conversion at hand
    kept: dict[str, int] = {}  # how many of the worst each Candidate of the Run kept in float in the end, by its key
    seconds: float | None = None  # that ranking took


class RepairAttempt(Record, frozen=True, kw_only=True):
    """One try at repairing an INT8 Candidate: so many layers kept in float, and what came of it."""

    float_layers: int
    map_delta: Estimate
    verdict: str
