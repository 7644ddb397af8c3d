"""Activities by label, guideline or paper, each with its constants."""
