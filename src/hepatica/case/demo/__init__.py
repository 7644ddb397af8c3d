"""The demonstration: a virtual patient through the whole course in a case, beside the truth."""
