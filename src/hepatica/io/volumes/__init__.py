"""NIfTI, MetaImage and NRRD files, read without a native parser."""
