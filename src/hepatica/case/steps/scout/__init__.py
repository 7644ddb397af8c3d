"""Steps of the scout, a file each."""
