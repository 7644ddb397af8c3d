"""Sequential tests, what they hold against what, and the boundaries they must pass."""
