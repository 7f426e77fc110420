"""Datasets, decoding, letterbox, the frame cache and the calibration draw."""
