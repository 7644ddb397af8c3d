"""Activity where none should be: a test with a stated false-positive rate, and what it found."""
