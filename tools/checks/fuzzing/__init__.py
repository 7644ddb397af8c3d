"""Hostile and damaged input, made by the thousand: seeds, ways to damage them, a worker that reads, a judge."""
