"""Injections with known truth: flow, counts, frames."""
