"""Documents and the dose report as files: names and bytes. Writing them, all or none, is the workflow's work."""

from __future__ import annotations

from hepatica.report.document import Document
from hepatica.report.dose_document import dose_document
from hepatica.report.dose_report import DoseReport
from hepatica.report.figures.pictures import draw, key_picture
from hepatica.report.html import html_page
from hepatica.report.pdf import pdf_page
from hepatica.report.tables import dvh_csv, metrics_csv


def document_files(document: Document, stem: str) -> dict[str, bytes]:
    """File name -> content of a document as HTML (UTF-8) and PDF."""
    return {f"{stem}.html": html_page(document).encode("utf-8"), f"{stem}.pdf": pdf_page(document)}


def report_files(report: DoseReport, bin_gy: float | None = None) -> dict[str, bytes]:
    """File name -> content of "report.html", "report.pdf", "metrics.csv", "dvh.csv" (UTF-8), and the figures as PNG.

    `bin_gy` is the step of the histograms in the CSV; None takes the widest that a structure's own would be.
    """
    pictures = draw(report)
    figures = {f"slices-{n}.png": picture.png for n, picture in enumerate(pictures.slices, start=1)}
    figures["dvh.png"] = pictures.dvh.png
    figures["key.png"] = key_picture(report)
    if pictures.activity is not None:
        figures["activity.png"] = pictures.activity.png
    return {
        **document_files(dose_document(report, pictures), "report"),
        "metrics.csv": metrics_csv(report).encode("utf-8"),
        "dvh.csv": dvh_csv(report, bin_gy).encode("utf-8"),
        **figures,
    }
