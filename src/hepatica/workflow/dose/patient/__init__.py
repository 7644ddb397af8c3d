"""What the dose knows of the patient: CT, structures, lungs, registration."""
