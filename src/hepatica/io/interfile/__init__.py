"""Interfile: headers of plain text beside files of plain numbers."""
