"""Organs of a CT in planar views: where the CT lies, what is seen of each organ, and how the counts are shared out."""
