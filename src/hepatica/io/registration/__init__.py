"""Transforms and landmarks in files: DICOM registration objects, ITK transforms, displacement fields, point lists."""
