"""Contours set right: clean-up in millimetres, and voxels that two structures claim."""
