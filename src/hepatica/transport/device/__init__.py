"""Every Warp function: photons and electrons in the patient, photons in the camera's head."""
