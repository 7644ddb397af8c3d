"""Objects as a blurring camera shows them."""
