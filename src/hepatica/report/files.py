"""A report as files: names and bytes. Writing them, all or none, is the case's work."""

from __future__ import annotations

from hepatica.report.document import DoseReport
from hepatica.report.figures.pictures import draw
from hepatica.report.html import html_report
from hepatica.report.pdf import pdf_report
from hepatica.report.tables import dvh_csv, metrics_csv


def report_files(report: DoseReport, bin_gy: float | None = None) -> dict[str, bytes]:
    """File name -> content of "report.html", "report.pdf", "metrics.csv", "dvh.csv" (UTF-8), and the figures as PNG.

    `bin_gy` is the step of the histograms in the CSV; None takes the widest that a structure's own would be.
    """
    pictures = draw(report)
    figures = {f"slices-{n}.png": picture.png for n, picture in enumerate(pictures.slices, start=1)}
    figures["dvh.png"] = pictures.dvh.png
    if pictures.activity is not None:
        figures["activity.png"] = pictures.activity.png
    return {
        "report.html": html_report(report, pictures).encode("utf-8"),
        "report.pdf": pdf_report(report, pictures),
        "metrics.csv": metrics_csv(report).encode("utf-8"),
        "dvh.csv": dvh_csv(report, bin_gy).encode("utf-8"),
        **figures,
    }
