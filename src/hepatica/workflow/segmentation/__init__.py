"""Structures that hepatica proposes on an image."""
