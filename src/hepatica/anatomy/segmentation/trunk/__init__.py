"""A CT of a trunk on coarse voxels with its landmarks: spine, inside of the ribs, diaphragm."""
