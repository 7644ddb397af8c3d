"""What the scout scan says: lung shunt, uptake, extrahepatic deposits, volumes."""
