"""Planar views of a case: whether there are any, which its biodistribution needs."""

from __future__ import annotations

from hepatica.case.steps.inputs import View


def no_planar_scout(view: View) -> str:
    """Why the scout has no biodistribution; empty where it has planar views."""
    return "" if view.images("scout-planar") else "no planar views of the scout were added"


def no_planar_therapy(view: View) -> str:
    """The same of the therapy."""
    return "" if view.images("therapy-planar") else "no planar views after treatment were added"
