"""Steps after a treatment, a file each."""
