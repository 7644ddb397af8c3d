"""What cameras see and what it means in becquerels."""
