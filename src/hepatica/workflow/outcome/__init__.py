"""Response of one patient."""
