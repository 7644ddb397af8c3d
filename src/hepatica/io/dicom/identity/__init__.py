"""Whose a DICOM file is, and objects from which that is taken out."""
