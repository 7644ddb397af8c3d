"""Calibration of a gamma camera: what its source is, what was counted, factor and recovery curve."""
