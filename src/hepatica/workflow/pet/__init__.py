"""PET from raw data: simulated, read, reconstructed."""
