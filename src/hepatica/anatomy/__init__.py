"""Where things are: the virtual patient with known truth, contours, regions from CT."""
