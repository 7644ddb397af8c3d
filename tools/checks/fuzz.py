"""Fuzzing: hostile and damaged input of every format, by the thousand; see ``python tools/checks/fuzz.py --help``."""

from __future__ import annotations

import sys

from fuzzing.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
