"""Planar views of a case: whether there are any, which its biodistribution needs."""

from __future__ import annotations

from hepatica.case.steps.inputs import View

NOT_PLANAR = ("scout-spect", "scout-projections")


def shunt_of_planar_scout(view: View) -> str:
    """Why the scout's lung shunt is not measured by itself; empty where it is.

    Where there are planar views and their CT alone the biodistribution holds it, with the same number.
    """
    tomographic = any(view.images(role) for role in NOT_PLANAR)
    if tomographic or not (view.images("scout-planar") and view.images("scout-ct")):
        return ""
    if view.left_out("scout-biodistribution"):
        return ""
    return "the biodistribution of the scout by planar views has it"


def no_planar_scout(view: View) -> str:
    """Why the scout has no biodistribution; empty where it has planar views."""
    return "" if view.images("scout-planar") else "no planar views of the scout were added"


def no_planar_therapy(view: View) -> str:
    """The same of the therapy."""
    return "" if view.images("therapy-planar") else "no planar views after treatment were added"
