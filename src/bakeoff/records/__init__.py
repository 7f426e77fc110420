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
    UNKNOWN,
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
from bakeoff.records.cameras import CameraLevel, Cameras
from bakeoff.records.check import Problem
from bakeoff.records.comparison import (
    CandidateChange,
    ComparedRun,
    Comparison,
    FigureChange,
    RuleFinding,
    RuleResult,
    SpeedChange,
)
from bakeoff.records.doctor import Finding
from bakeoff.records.prediction import Prediction, SavedArtifact, Script, Source
from bakeoff.records.run import (
    BackendStatus,
    Dataset,
    Host,
    Requirements,
    RunRecord,
    Settings,
    Takeaway,
    Trial,
    Verdict,
)
from bakeoff.records.speed import (
    Shapes,
    Sweep,
    SweepPoint,
    WarmUp,
)
from bakeoff.records.sustain import Sustained, SustainedWindow

__all__ = [
    "MIXED",
    "UNKNOWN",
    "Accuracy",
    "Agreement",
    "Artifact",
    "ArtifactFile",
    "BackendStatus",
    "CalibrationDraw",
    "CameraLevel",
    "Cameras",
    "Candidate",
    "CandidateChange",
    "ClassMetrics",
    "ComparedRun",
    "Comparison",
    "Dataset",
    "Estimate",
    "Failure",
    "FigureChange",
    "Finding",
    "GroupParity",
    "Host",
    "ImageDifference",
    "Intervals",
    "LayerError",
    "Model",
    "OperatingPoint",
    "Parity",
    "Prediction",
    "Problem",
    "Recipe",
    "Record",
    "ReliabilityBin",
    "RepairAttempt",
    "Requirements",
    "RuleFinding",
    "RuleResult",
    "RunRecord",
    "SavedArtifact",
    "Script",
    "SessionFacts",
    "Settings",
    "Shapes",
    "SizeAgreement",
    "Source",
    "SpeedChange",
    "Sustained",
    "SustainedWindow",
    "Sweep",
    "SweepPoint",
    "Takeaway",
    "Trial",
    "Verdict",
    "WarmUp",
    "Workload",
]
