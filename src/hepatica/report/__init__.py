"""Figures, HTML, PDF."""
