"""Launching the Monte Carlo: upload, batches, stopping rules, progress, checkpoints."""
