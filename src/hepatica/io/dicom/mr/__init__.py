"""Multi-echo MR: read from DICOM of any form, and written."""
