"""A whole PET scan: beds one after another, what their lists hold, how one is simulated and becomes one image."""
