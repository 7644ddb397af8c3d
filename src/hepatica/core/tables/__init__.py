"""Tables: shipped ones, those that people hand in, those that are shown."""
