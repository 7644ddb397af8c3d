"""Drawing structures by hand: brush, contour, threshold, growing, margins, and slices between drawn ones."""
