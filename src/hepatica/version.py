"""The version, in the one place that packaging does not own."""

__version__ = "0.2.0"
