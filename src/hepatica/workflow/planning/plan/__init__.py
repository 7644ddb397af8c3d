"""The plan: its verb, its file, its document, its voxels."""
