"""What goes with the reconstruction of a list: the bound below zero, when to stop, how sure the image is."""
