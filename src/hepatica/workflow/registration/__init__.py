"""Images brought from one frame of reference to another."""
