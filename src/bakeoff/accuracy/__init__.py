"""Accuracy: matching detections to ground truth, average precision, and intervals for its differences."""
