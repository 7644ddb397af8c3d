"""Point kernels and the voxel S values made from them."""
