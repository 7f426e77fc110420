"""Timing: streams and blocks (in the child), the schedule of rounds (in the parent), estimates from samples."""
