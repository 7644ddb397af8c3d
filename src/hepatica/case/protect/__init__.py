"""Protection of the person whose case it is: erasure, and transfer that only the receiver can read."""
