"""From a checked table to the answer: what is computed of it, and what that says in words."""
