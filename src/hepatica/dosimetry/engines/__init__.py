"""The dose engines: local deposition, kernel convolution, Monte Carlo, by name."""
