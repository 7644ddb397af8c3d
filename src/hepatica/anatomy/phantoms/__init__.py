"""Test objects of known shape and content."""
