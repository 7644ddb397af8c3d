"""During the injection: what has arrived where, and when to look up."""
