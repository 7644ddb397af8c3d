"""RTSTRUCT and SEG, and the planes that they are drawn on."""
