"""Going home after a treatment."""
