"""Watching an injection: sources of frames and readings, the verb, its result."""
