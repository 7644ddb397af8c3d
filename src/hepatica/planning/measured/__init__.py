"""What a plan's own images and earlier results hold, beside what it states."""
