"""What became of the patient: response criteria, dose-response, survival, agreement, and the next treatment."""
