"""The steps of a course: which verb each one is, and what feeds it."""
