"""All pictures of a report, drawn once for HTML and PDF."""

from __future__ import annotations

from dataclasses import dataclass

from hepatica.report.document import Picture
from hepatica.report.dose_report import DoseReport
from hepatica.report.figures.dosimetry.dose import activity_figure, dvh_figure, key_figure, png, slices_figure

MAX_LESIONS = 8
"""Slices are drawn for this many lesions, largest first; the report says how many were left out."""


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Pictures of one report.

    Attributes
    ----------
    slices : tuple of Picture
        One per lesion, in the order of the report.
    dvh : Picture
        Cumulative DVHs.
    activity : Picture or None
        Overview of the activity, where the report has it.
    left_out : int
        Lesions without slices.
    """

    slices: tuple[Picture, ...]
    dvh: Picture
    activity: Picture | None
    left_out: int


def draw(report: DoseReport) -> Pictures:
    """Draw all pictures of a report; about half a second each."""
    lesions = report.lesions
    held = None if report.ct is None else report.ct.values  # read for every slice
    kept = {id(item) for item in sorted(lesions, key=lambda item: -item.dose.volume_ml)[:MAX_LESIONS]}
    slices = tuple(
        Picture(
            item.dose.name,
            "CT (level 40 HU, width 400 HU), absorbed dose as colour, isodose lines and outlines, through the centre "
            f"of {item.dose.name}. Axial seen from the feet.",
            png(slices_figure(report, item)),
        )
        for item in lesions
        if id(item) in kept
    )
    del held
    dvh = Picture(
        "Dose-volume histograms",
        "Cumulative, by volume; colours as in the slices. A triangle on the axis marks the mean dose.",
        png(dvh_figure(report)),
    )
    overview = activity_figure(report)
    activity = None
    if overview is not None:
        caption = (
            "Maximum projections of the time-integrated activity, with the outlines of body, lungs, liver and tumours."
        )
        activity = Picture("Distribution of the activity", caption, png(overview))
    return Pictures(slices, dvh, activity, len(lesions) - len(slices))


def key_picture(report: DoseReport) -> bytes:
    """The picture that the first page of a course shows: an axial slice through the largest lesion, as PNG."""
    return png(key_figure(report, max(report.lesions, key=lambda item: item.dose.volume_ml)), dpi=220)
