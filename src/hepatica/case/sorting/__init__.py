"""What a heap of files is: each series and file gets the role that it has in the patient's course."""
