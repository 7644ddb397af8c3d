"""Gamma camera verbs: simulate, reconstruct, calibrate."""
