"""Figures, HTML, PDF and tables, from plain values."""

from hepatica.report.document import DoseReport, Fact, ImageUsed, LimitRow, ReportRegion, limit_rows

__all__ = ["DoseReport", "Fact", "ImageUsed", "LimitRow", "ReportRegion", "limit_rows"]
