"""Deformable registration: a stationary velocity field, symmetric in both images, so that it folds nowhere."""
