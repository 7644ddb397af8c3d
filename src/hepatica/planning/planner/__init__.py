"""The whole plan: every territory by every method, chances, voxel plan, agents side by side."""
