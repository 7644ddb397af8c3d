"""Iterative reconstruction on any system model: algorithms, background term, noise of the image."""
