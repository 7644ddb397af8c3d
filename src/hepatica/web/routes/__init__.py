"""What the page asks the server for, one file for each subject."""
