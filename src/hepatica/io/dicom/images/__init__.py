"""One file per image object: CT, PET, NM, planar views, projections; and writing them."""
