"""Where the tissue of one image lies in another: rigid, affine and deformable registration, and how good it is."""
