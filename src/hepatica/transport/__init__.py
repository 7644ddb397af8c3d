"""How radiation moves: materials, point kernels and voxel kernels."""
