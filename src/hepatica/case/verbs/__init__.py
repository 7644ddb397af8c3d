"""The verbs of a case: what `hepatica case ...` does, each once."""
