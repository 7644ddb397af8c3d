"""The report of a biodistribution: both views with outlines, shares and activities, curves, organ doses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Provenance
from hepatica.core.message import Message
from hepatica.core.tables.table import Table
from hepatica.dosimetry.time.organ_curve import OrganCurve
from hepatica.report.document import Document, Paragraph, Picture, Section, TableBlock
from hepatica.report.figures.dosimetry.dose import png, svg
from hepatica.report.figures.planar import draw_organ_curves, draw_planar_views
from hepatica.workflow.planar.shown import ShownTime, TimeOfDistribution

PARTS_OF_LIVER = ("normal liver", "all tumours")
"""Not outlined beside liver and tumours, whose outlines are theirs."""


@dataclass(frozen=True, slots=True, eq=False)
class Pages:
    """What the report shows."""

    title: str
    tables: Sequence[Table]
    times: Sequence[TimeOfDistribution]
    shown: Sequence[ShownTime]
    curves: Sequence[OrganCurve]
    patient_sex: str | None
    sentences: Sequence[str]
    shares: str


def _scatter_in(method: str) -> str:
    """What a picture of the views shows of the scatter."""
    if method == "mc":
        return "with their scatter, which is fitted by Monte Carlo"
    return "with their scatter" if method == "none" else f"scatter taken off ({method})"


def _drawn_hours(curve: OrganCurve) -> NDArray[np.float64]:
    """Times at which a curve is drawn; none of one without a half-life, which is one point and a formula."""
    if curve.effective_half_life_h is None:
        return np.empty(0)
    return np.linspace(0.0, max(3 * curve.effective_half_life_h.value, 1.3 * max(curve.points_h)), 120)


def biodistribution_document(found: Pages, messages: tuple[Message, ...], provenance: Provenance) -> Document:
    """The document."""
    sections = []
    tables = {table.name: table for table in found.tables}
    for number, (shown, time) in enumerate(zip(found.shown, found.times, strict=True), start=1):
        heading = "Planar views" if len(found.times) == 1 else f"Planar views, time {number}"
        outlines = {n: a for n, a in shown.measured.outlines.items() if n not in PARTS_OF_LIVER}
        kinds = [shown.measured.roles[name] for name in outlines]
        figure = draw_planar_views(shown.rates.net, shown.rates.sides, shown.rates.pixel_mm, outlines, kinds)
        when = "" if time.start is None else f", {time.start:%Y-%m-%d %H:%M}"
        caption = (
            f"{shown.rates.window}{when}; grey is the square root of the counts, {_scatter_in(time.scatter_method)}. "
            "Each view as its camera sees it."
        )
        shares = tables["organs" if number == 1 else f"organs-{number}"]
        # Beside a table, so that they never stand alone on a page.
        more = [Paragraph(text) for text in found.sentences] if number == 1 else []
        sections.append(Section(
            heading, (Picture("", caption, png(figure)), TableBlock(shares, found.shares), *more)
        ))  # fmt: skip
    if "lung-shunt" in tables:
        sections.append(Section("Lung shunt", (TableBlock(tables["lung-shunt"]),)))
    if found.curves:
        figure = draw_organ_curves([
            (c.organ, c.points_h, c.points, times.tolist(), c.at(times * 3600).tolist())
            for c in found.curves
            if c.organ not in PARTS_OF_LIVER
            for times in [_drawn_hours(c)]
        ])  # fmt: skip
        picture = Picture("", "Points: measured; lines: the curves that are integrated.", png(figure), svg(figure))
        sections.append(Section("Course in time", (picture, TableBlock(tables["curves"]))))
    if "organ-doses" in tables:
        note = (
            f"MIRD schema with S values of the adult {found.patient_sex} phantom of ICRP Publication 110 by hepatica's "
            "own Monte Carlo; self-dose scaled to the mass shown. Tumours: electrons alone, all absorbed in the lesion."
        )
        sections.append(Section("Absorbed dose of organs", (TableBlock(tables["organ-doses"], note),)))
    return Document(
        title=found.title,
        sections=tuple(sections),
        messages=messages,
        created=provenance.now().astimezone(),
        provenance=provenance.as_document(),
    )
