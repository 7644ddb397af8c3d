"""Files that arrive in a folder, each once and whole."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hepatica.errors import InputError


@dataclass(slots=True)
class ArrivingFiles:
    """What is new in a folder at each look.

    A file is given once it was the same, in size and time, at two looks: whoever writes it is done with it.

    Attributes
    ----------
    folder : Path
        Where files arrive.
    is_wanted : callable
        Which files count; those that begin with a point do not.
    are_coming : bool
        Whether a file was being written at the last look.
    """

    folder: Path
    is_wanted: Callable[[Path], bool] = lambda path: not path.name.startswith(".")
    are_coming: bool = False
    _seen: dict[Path, tuple[int, int]] = field(default_factory=dict)
    _given: set[Path] = field(default_factory=set)
    _broken: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise InputError(f"{self.folder}: is no folder in which frames could arrive")

    def new(self) -> list[Path]:
        """Files that have arrived whole since the last look, in the order of their names, numbers by their value.

        Raises
        ------
        InputError
            If the folder is gone.
        """
        try:
            there = [path for path in self.folder.iterdir() if path not in self._given and self.is_wanted(path)]
            states = {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in there if path.is_file()}
        except FileNotFoundError as error:
            if self.folder.is_dir():
                return []  # a file was renamed between two calls; the next look sees it
            raise InputError(f"{self.folder}: the folder is gone") from error
        changed = {path: state for path, state in states.items() if self._broken.get(path) != state}
        whole = [path for path, state in changed.items() if self._seen.get(path) == state and state[0] > 0]
        self._seen = states
        self.are_coming = len(whole) < len(changed)
        self._given.update(whole)
        return sorted(whole, key=by_number)

    def unread(self, path: Path) -> None:
        """Give a file again when it has changed: it could not be read, since its writer paused half-way."""
        self._given.discard(path)
        if path in self._seen:
            self._broken[path] = self._seen[path]


def by_number(path: Path) -> list[tuple[int, str]]:
    """Key by which files stand in the order of their names, numbers by their value."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]
