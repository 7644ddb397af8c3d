"""Regions of a SPECT that the counts determine as a whole, not voxel by voxel: the lung and the rest of the body."""
