"""The vial to order, what was delivered, and whether it went where the scout said."""
