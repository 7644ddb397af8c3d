"""Plans and prescriptions as tables and as a document."""
