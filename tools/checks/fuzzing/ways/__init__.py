"""Ways to damage files: bytes, DICOM elements, text, headers and archives; `damage` makes one case of a number."""
