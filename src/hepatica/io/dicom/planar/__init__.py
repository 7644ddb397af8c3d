"""Planar gamma camera files: opposed views as one value, regions on them, and simulated ones written."""
