"""Taking identity out of results: who is in them, a secret key, and what the key makes of names, UIDs and dates."""
