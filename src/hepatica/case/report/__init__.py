"""The report of a case: what its steps found, on one first page, a part for each step, and a physicist's annex."""
