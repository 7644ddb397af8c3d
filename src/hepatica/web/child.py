"""Runs steps of a case in a process of its own, and says what it does: one JSON document a line, on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from hepatica.case.case import Case
from hepatica.errors import HepaticaError

STOPPED = 130


def say(**told: str) -> None:
    """One line."""
    sys.stderr.write(json.dumps(told) + "\n")
    sys.stderr.flush()


def main(arguments: Sequence[str]) -> int:
    """Run steps of a case; the exit code says whether all of them were done.

    Parameters
    ----------
    arguments : sequence of str
        Folder of the case, and names of steps; none for all that is due.
    """
    folder, *steps = arguments
    try:
        ran = Case.open(folder).run(*steps, progress=lambda text: say(now=text))
    except HepaticaError as error:
        say(error=str(error.args[0]) if error.args else type(error).__name__, remedy=error.remedy)
        return 1
    except KeyboardInterrupt:
        return STOPPED
    failed = [state for state in ran if state.state == "failed"]
    for state in failed:
        say(error=f"{state.name}: {'; '.join(state.reasons)}", remedy="")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
