"""Raw data of PET in files: hepatica's own lists, PETSIRD, and scanners that a user describes."""
