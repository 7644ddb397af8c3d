"""Verbs of planar views: biodistribution and simulation."""
