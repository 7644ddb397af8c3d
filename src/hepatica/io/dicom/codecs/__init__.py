"""Compressed pixel data, decoded by native code in a process of its own."""
