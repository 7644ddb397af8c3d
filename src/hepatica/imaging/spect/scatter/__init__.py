"""Photons that scattered in the patient: from energy windows, effective source, or Monte Carlo."""
