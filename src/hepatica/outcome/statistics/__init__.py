"""Statistics of outcome: survival, dose-response, agreement, accuracy; what the data cannot carry is refused."""
