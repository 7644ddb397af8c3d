"""One verb each: files or images in, a Result out. No numerics, no drawing."""
