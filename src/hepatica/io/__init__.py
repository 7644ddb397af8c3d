"""Images and structures in and out of files; the only room that knows DICOM, NIfTI and MetaImage."""
