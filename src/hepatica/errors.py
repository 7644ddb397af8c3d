"""Every error hepatica raises on purpose, in one tree.

::

    HepaticaError
    ├── InputError            something from outside is wrong: a file, a tag, an option, a number
    │   ├── UnitError         a unit or quantity is missing, unknown or of the wrong kind
    │   ├── TimeError         a reference time is missing or contradictory
    │   ├── UnknownNameError  a name that is not in the list (the message lists the choices and the nearest)
    │   ├── TableError        a table's file, row or column is wrong (the message names them)
    │   ├── EvidenceError     data that are too few or too degenerate for the statistic asked for
    │   └── DicomError        a DICOM file or tag (the message names file and tag)
    │       └── AmbiguousSeriesError  several series fit (the message lists them)
    ├── GeometryError         grids, frames of reference or contours that do not fit together
    │   └── NothingDrawnError  a file of structures lists some, or none, and none holds a voxel
    ├── PhysicsError          a request outside the range where the physics holds
    └── OutputError           a result could not be written; nothing half-written is left behind

A message says what was wrong, where (file, tag, structure) and what was expected; a remedy says what to do. Options are
named in backticks by the name of their field (`registered`); a front end puts its own word there (``--registered``).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

_NAME = re.compile(r"`([a-z][a-z0-9_]*)`")


def worded(text: str, word: Callable[[str], str] | None = None) -> str:
    """Text with each option in backticks put into a front end's own terms.

    Parameters
    ----------
    text : str
        Text in which options are named as `` `registered` ``.
    word : callable, optional
        From the name of a field to the front end's word; without it the names stay as they are.
    """
    return text if word is None else _NAME.sub(lambda match: word(match[1]), text)


class HepaticaError(Exception):
    """Base of all errors that hepatica raises on purpose.

    Parameters
    ----------
    message : str
        What was wrong, where, and what was expected.
    remedy : str
        What to do; options in backticks.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy

    def __str__(self) -> str:
        return self.worded()

    def worded(self, word: Callable[[str], str] | None = None) -> str:
        """Message and remedy, options in a front end's own words."""
        message = super().__str__()
        return worded(f"{message}; {self.remedy}" if self.remedy else message, word)


class InputError(HepaticaError):
    """Something from outside is wrong: a file, an option, a number."""


class UnitError(InputError):
    """A unit or quantity is missing, unknown or of the wrong kind."""


class TimeError(InputError):
    """A reference time is missing or contradictory."""


class UnknownNameError(InputError):
    """A name that is not in the list of known ones.

    Parameters
    ----------
    what : str
        Kind of thing that was looked up, in the singular ("nuclide", "dose engine").
    name : str
        What was asked for.
    known : iterable of str
        The choices, listed in the message.
    why : str
        Why a name that is known elsewhere is not one of them, in place of names that are spelled alike.
    """

    def __init__(self, what: str, name: str, known: Iterable[str], *, why: str = "") -> None:
        choices = sorted(known)
        if why:
            super().__init__(f"{what} {name!r} cannot be taken here: {why}; known: {', '.join(choices)}")
            return
        near = difflib.get_close_matches(str(name), choices, n=3)
        hint = f" (did you mean {' or '.join(near)}?)" if near else ""
        super().__init__(f"unknown {what} {name!r}{hint}; known: {', '.join(choices)}")


class TableError(InputError):
    """A table is wrong; the message lists every fault with file, row and column.

    Parameters
    ----------
    path : Path
        The file.
    faults : iterable of str
        One line each, "row 12, column 'dead': ...".
    """

    def __init__(self, path: str | Path, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        shown = "; ".join(self.faults[:20])
        more = f"; and {len(self.faults) - 20} more" if len(self.faults) > 20 else ""
        super().__init__(f"{path}: {shown}{more}")


class NowhereToLookError(InputError):
    """Liver and lungs leave no room in the image for uptake outside them; what else is asked of it can be answered."""


class EvidenceError(InputError):
    """The data are too few or too degenerate for the statistic asked for; no number is given instead."""


class DicomError(InputError):
    """A DICOM file or tag is wrong.

    Parameters
    ----------
    message : str
        What was wrong and what was expected.
    path : Path, optional
        The file; named in the message.
    tag : str, optional
        Keyword of the attribute, for example "RescaleSlope"; named in the message.
    remedy : str
        What to do.
    """

    def __init__(
        self, message: str, *, path: str | Path | None = None, tag: str | None = None, remedy: str = ""
    ) -> None:
        where = ": ".join(str(part) for part in (path, tag) if part is not None)
        super().__init__(f"{where}: {message}" if where else message, remedy=remedy)
        self.path = Path(path) if path is not None else None
        self.tag = tag


class AmbiguousSeriesError(DicomError):
    """Several series fit what was asked for; the message lists them."""


class GeometryError(HepaticaError):
    """Grids, frames of reference or contours do not fit together."""


class NothingDrawnError(GeometryError):
    """No structure of a file, or of those asked for, holds anything.

    Parameters
    ----------
    message : str
        What was looked for, and where.
    names : sequence of str
        Structures that are listed without anything in them.
    """

    def __init__(self, message: str, *, names: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.names = tuple(names)


class PhysicsError(HepaticaError):
    """A request lies outside the range where the physics holds."""


class OutputError(HepaticaError):
    """A result could not be written; nothing half-written is left behind."""
