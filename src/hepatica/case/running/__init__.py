"""Steps that are run: those that are due, and as files arrive in a folder."""
