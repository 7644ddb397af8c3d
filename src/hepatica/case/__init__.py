"""One patient's course as a folder: facts, images, steps that know what they were made from, and a log."""
