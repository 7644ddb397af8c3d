"""Frames and readings as they arrive: folders being written, meters as CSV or on a serial line, a DICOM listener."""
