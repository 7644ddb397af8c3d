"""Absorbed dose of organs from what organs hold: S values of the ICRP-110 phantoms, scaled to the patient."""
