"""Texts: from outside, from files, quiet libraries."""
