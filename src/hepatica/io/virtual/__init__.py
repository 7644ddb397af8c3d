"""Virtual patients in files: arteries, DICOM and the truth, and the patient of the demonstration."""
