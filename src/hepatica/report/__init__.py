"""Figures, documents as HTML and PDF, and tables, from plain values."""

from hepatica.report.document import Document, Fact
from hepatica.report.dose_report import (
    DoseReport,
    FurtherTable,
    ImageUsed,
    LimitRow,
    OtherDose,
    ReportRegion,
    limit_rows,
)

__all__ = [
    "Document",
    "DoseReport",
    "Fact",
    "FurtherTable",
    "ImageUsed",
    "LimitRow",
    "OtherDose",
    "ReportRegion",
    "limit_rows",
]
