"""Organs found in images: body, lungs, liver; borders at the image's own voxels."""
