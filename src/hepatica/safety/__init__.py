"""Radiation safety after treatment: dose rates, release, contact, waste, staff."""
