"""Drawn structures: contours, masks, what a name means, set algebra."""
