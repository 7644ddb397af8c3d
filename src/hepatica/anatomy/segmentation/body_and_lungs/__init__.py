"""Body, left and right lung from a CT alone, on the CT's own voxels."""
