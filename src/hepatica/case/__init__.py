"""One patient's course: which step feeds which."""
