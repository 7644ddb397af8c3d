"""Many patients: tables of outcome, agreement, accuracy."""
