"""What the scout scan says: lung shunt, uptake, volumes."""
