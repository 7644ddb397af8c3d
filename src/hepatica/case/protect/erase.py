"""Erasing a patient from a case: everything but a log that stays provable."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

from hepatica.case.catalogue import Catalogue
from hepatica.case.changing import changing
from hepatica.case.facts import Facts
from hepatica.case.layout import (
    CATALOGUE,
    DRAFTS,
    FACTS,
    IMAGES,
    KEY,
    MONITORING,
    PERSONAL,
    PICTURES,
    SET_ASIDE,
    STEPS,
    VERSION,
)
from hepatica.case.steps.course import STEPS as STEP_NAMES
from hepatica.errors import InputError, OutputError
from hepatica.io.files import atomic_output

ALL_FILES = (IMAGES, STEPS, SET_ASIDE, PICTURES, DRAFTS, MONITORING)
"""Folders that hold anything of the patient."""

ERASED = f"""\
# The patient of this case was erased: what is left is a log without names, each line of which can still be proved.

[case]
version = {VERSION}
"""


def erase(folder: Path, reason: str) -> int:
    """Remove images, results, facts and the personal part of the log, and destroy its key.

    The log keeps what happened and when, with hashes; the last line says that the patient was erased. Files that were
    only referred to stay where they are. What a file system or a backup keeps of removed files is beyond a program.

    Parameters
    ----------
    folder : Path
        Of the case.
    reason : str
        Why; it must name no person, since it stays readable.

    Returns
    -------
    int
        How many files were removed.

    Raises
    ------
    InputError
        If no reason is given, the records are still to be kept, or the log was changed.
    OutputError
        If something cannot be removed; what is left is named, and erasing again goes on.
    """
    if not reason.strip():
        raise InputError("to erase a patient needs a reason")
    until = Facts.read(folder, STEP_NAMES).retain_until
    if until is not None and until >= datetime.now(UTC).date():
        raise InputError(
            f"{folder}: its records are to be kept until {until}",
            remedy="state another case.retain_until if that is wrong",
        )
    with changing(folder, erasing=True) as log:
        removed = sum(1 for name in ALL_FILES for path in (folder / name).rglob("*") if path.is_file())
        elsewhere = sum(Path(file.path).is_absolute() for item in Catalogue.read(folder) for file in item.files)
        # The key first: whatever stops the rest, the log is anonymous from here on.
        try:
            (folder / KEY).unlink(missing_ok=True)
            (folder / PERSONAL).unlink(missing_ok=True)
            with atomic_output(folder / FACTS) as new:
                new.write_text(ERASED, encoding="utf-8")
            (folder / CATALOGUE).unlink(missing_ok=True)
            for name in ALL_FILES:
                if (folder / name).exists():
                    shutil.rmtree(folder / name)
            for name in (IMAGES, STEPS):
                (folder / name).mkdir()
        except OSError as error:
            where = error.filename or folder
            raise OutputError(f"{where}: cannot be erased ({error.strerror})", remedy="erase again") from error
        log.append("erased", {"reason": reason.strip(), "files": removed, "referred_to": elsewhere})
    return removed
