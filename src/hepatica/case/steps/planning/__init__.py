"""Steps from the plan to the administration, a file each."""
