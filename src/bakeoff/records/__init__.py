"""The frozen records that travel between the steps, over the pipe and into `results.json`.

Absent is `None`, never 0 or -1. Statistics are derived from samples and are not stored here, except where deriving
them again would need the images (accuracy).
"""

from bakeoff.records.accuracy import (
    Accuracy,
    Agreement,
    CalibrationDraw,
    ClassMetrics,
    GroupParity,
    ImageDifference,
    LayerError,
    OperatingPoint,
    Parity,
    Recipe,
    ReliabilityBin,
    RepairAttempt,
    SizeAgreement,
)
from bakeoff.records.base import (
    MIXED,
    Artifact,
    ArtifactFile,
    Candidate,
    Estimate,
    Failure,
    Intervals,
    Model,
    Record,
    SessionFacts,
    Workload,
)
from bakeoff.records.run import (
    BackendStatus,
    Dataset,
    Host,
    Requirements,
    RunRecord,
    Settings,
    Trial,
    Verdict,
)
from bakeoff.records.speed import (
    WarmUp,
)

__all__ = [
    "MIXED",
    "Accuracy",
    "Agreement",
    "Artifact",
    "ArtifactFile",
    "BackendStatus",
    "CalibrationDraw",
    "Candidate",
    "ClassMetrics",
    "Dataset",
    "Estimate",
    "Failure",
    "GroupParity",
    "Host",
    "ImageDifference",
    "Intervals",
    "LayerError",
    "Model",
    "OperatingPoint",
    "Parity",
    "Recipe",
    "Record",
    "ReliabilityBin",
    "RepairAttempt",
    "Requirements",
    "RunRecord",
    "SessionFacts",
    "Settings",
    "SizeAgreement",
    "Trial",
    "Verdict",
    "WarmUp",
    "Workload",
]
