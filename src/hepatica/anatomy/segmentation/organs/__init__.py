"""Liver, spleen, spine and kidneys: where each may lie, how bright it is, and where its border runs."""
