"""What the patient is made of to a photon or an electron: media, cross sections, stopping powers."""
