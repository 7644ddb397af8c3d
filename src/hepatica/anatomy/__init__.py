"""Where things are: the torso with known truth, contours, regions from CT."""
