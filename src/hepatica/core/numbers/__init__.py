"""Numbers as values and as words: estimates, confidence, comparison, units."""
