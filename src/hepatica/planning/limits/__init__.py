"""Dose limits and targets, what earlier treatments leave, how a plan stands to both."""
