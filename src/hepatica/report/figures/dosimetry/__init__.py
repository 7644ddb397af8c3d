"""Pictures of dose: wash, isodoses, histograms, kernels."""
