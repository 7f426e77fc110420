"""The version, in one place (read by the build and by every Run)."""

__version__ = "0.1.0"
