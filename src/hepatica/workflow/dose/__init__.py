"""From treated images to absorbed dose and what it does."""
