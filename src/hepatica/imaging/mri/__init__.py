"""MR imaging of holmium: multi-echo series to R2*, R2* to concentration, mass and activity."""
