"""Gamma cameras as data: collimator, crystal, detector response, orbit."""
