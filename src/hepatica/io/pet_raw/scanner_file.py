"""A PET scanner in a user's TOML file."""

from __future__ import annotations

from pathlib import Path

from hepatica.core.options import toml_file
from hepatica.imaging.pet.scanner import Scanner, scanner, scanner_from_table

SUFFIX = ".toml"


def scanner_of(given: str | Path | Scanner) -> Scanner:
    """The scanner itself: shipped, by its name, or described in a TOML file with the keys of the shipped ones.

    Raises
    ------
    UnknownNameError
        If no scanner of that name is shipped; the known ones are listed.
    InputError
        If the file cannot be read or describes no scanner.
    """
    if isinstance(given, Scanner):
        return given
    if Path(given).suffix.lower() != SUFFIX:
        return scanner(str(given))
    path = Path(given)
    return scanner_from_table(toml_file(path)[1], str(path))
