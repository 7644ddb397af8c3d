"""Structures from files: RTSTRUCT, SEG, label maps, Slicer's segmentations."""
