"""Lets ``python -m hepatica`` do what ``hepatica`` does."""

from hepatica.cli.main import run

run()
