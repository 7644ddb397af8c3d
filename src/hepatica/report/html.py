"""The report as one HTML file: pictures inside, nothing loaded from anywhere, prints on A4."""

from __future__ import annotations

import base64
from typing import Any

from hepatica.report import tables
from hepatica.report.document import NOT_A_DEVICE, DoseReport
from hepatica.report.figures import palette
from hepatica.report.figures.pictures import Pictures, draw
from hepatica.report.provenance import provenance_rows


def html_report(report: DoseReport, pictures: Pictures | None = None) -> str:
    """Complete HTML document; every text of the report is escaped.

    Parameters
    ----------
    report : DoseReport
        What to print.
    pictures : Pictures, optional
        From `pictures.draw`, if they are drawn already.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("hepatica.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["data_uri"] = _data_uri
    styles = palette.structure_styles([item.structure for item in report.regions])
    return environment.get_template("report.html.jinja").render(
        report=report,
        pictures=pictures or draw(report),
        styles=styles,
        not_a_device=NOT_A_DEVICE,
        tables=tables,
        limit_rows=[(row.status, tables.limit_row(row)) for row in report.limits],
        provenance=provenance_rows(report.provenance),
        created=created_text(report),
        colours={
            "ink": palette.INK,
            "muted": palette.MUTED,
            "rule": palette.RULE,
            "accent": palette.ACCENT,
            **palette.STATUS_COLOURS,
        },
    )


def created_text(report: DoseReport) -> str:
    """When the report was made, as printed; empty if not said."""
    return report.created.strftime("%Y-%m-%d %H:%M") if report.created is not None else ""


def _data_uri(data: Any) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii")
