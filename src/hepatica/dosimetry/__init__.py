"""From time-integrated activity to absorbed dose, and what a dose map says."""
