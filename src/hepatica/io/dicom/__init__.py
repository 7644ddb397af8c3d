"""DICOM: one file per kind of object, one file that knows geometry, one door to the tags."""
