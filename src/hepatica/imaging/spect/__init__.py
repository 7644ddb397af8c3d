"""What a gamma camera that goes round the patient sees of a nuclide."""
