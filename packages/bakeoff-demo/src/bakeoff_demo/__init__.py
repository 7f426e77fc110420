# SPDX-License-Identifier: AGPL-3.0-only
"""The demo's files: a YOLOv8n detector of six kinds of board defect, with calibration and validation images."""

from pathlib import Path

__version__ = "0.1.0"
__all__ = ["data_path", "folder", "model_path"]


def folder() -> Path:
    """The folder that holds the demo's files."""
    return Path(__file__).resolve().parent


def model_path() -> Path:
    """The trained detector, an Ultralytics checkpoint (YOLOv8n, six classes, input 384 x 384 pixels)."""
    return folder() / "yolov8n-boards.pt"


def data_path() -> Path:
    """The data set's data.yaml; its image folders are relative to the folder it lies in."""
    return folder() / "data" / "data.yaml"
