"""What a dose map says: histograms, gamma index, comparison."""
