"""Planar gamma camera views of the body: conjugate views, organs in them, and what they hold."""
