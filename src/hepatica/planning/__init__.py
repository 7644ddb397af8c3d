"""From the scout scan to the vial: lung shunt, uptake ratios, prescriptions, limits, guardrails, the order."""
