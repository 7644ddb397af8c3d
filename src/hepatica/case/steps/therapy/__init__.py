"""Steps on images after treatment, a file each."""
