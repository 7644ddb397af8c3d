"""R2* of every voxel: starts, the fit with its noise floor, what is known of S0, noise."""
