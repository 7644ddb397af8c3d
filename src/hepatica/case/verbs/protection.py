"""What is done with a case as a whole: taken away as one encrypted file, brought back, erased."""

from __future__ import annotations

from pathlib import Path

from hepatica.case.case import Case
from hepatica.case.protect.anonymise import Copied
from hepatica.case.protect.erase import erase
from hepatica.case.protect.pack import Lock, Unlocked, pack, unpack
from hepatica.case.verbs.shown import HERE, CaseResult, shown
from hepatica.core.options import verb
from hepatica.core.progress import Progress
from hepatica.core.tables.table import Table
from hepatica.workflow.result import result


def _path(given: Path | None) -> Path | None:
    return None if given is None else Path(given)


@result
class CasePackResult(CaseResult):
    """A case that was written into an archive."""

    verb = "pack_case"


@verb
def pack_case(
    archive: Path, *, case: Path = HERE, recipients: tuple[str, ...] = (), passphrase_file: Path | None = None
) -> CasePackResult:
    """Write a case into one encrypted file, for transfer or backup.

    Parameters
    ----------
    archive : path
        File to write; the format is that of age (age-encryption.org).
    case : path
        Folder of the case; the current one if not given.
    recipients : sequence of str
        Public keys of those who may open it (age1...).
    passphrase_file : path or None
        In place of keys: file with a passphrase.

    Returns
    -------
    CasePackResult
        The case that was packed.

    Raises
    ------
    InputError
        If a key is none, or the case refers to files outside of it.
    OutputError
        If the archive is there already or cannot be written.

    Examples
    --------
    >>> hepatica.pack_case("patient-7.age", case="patient-7", passphrase_file="phrase.txt")  # doctest: +SKIP
    """
    lock = Lock.of(recipients, _path(passphrase_file))
    opened = Case.open(case)
    pack(opened.folder, Path(archive), lock)
    return CasePackResult(**shown(opened))


@result
class CaseUnpackResult(CaseResult):
    """A case that came out of an archive."""

    verb = "unpack_case"


@verb
def unpack_case(
    archive: Path, case: Path, *, identity_file: Path | None = None, passphrase_file: Path | None = None
) -> CaseUnpackResult:
    """Bring a case back from an encrypted file, with every file and every line of its log proved.

    Parameters
    ----------
    archive : path
        File that *case pack* wrote.
    case : path
        Folder to make.
    identity_file : path or None
        File with the secret key that belongs to a recipient, as age-keygen writes it.
    passphrase_file : path or None
        In place of a key: file with the passphrase.

    Returns
    -------
    CaseUnpackResult
        The case.

    Raises
    ------
    InputError
        If the archive cannot be opened, or what is in it does not hold together.
    OutputError
        If the folder is there already.

    Examples
    --------
    >>> hepatica.unpack_case("patient-7.age", "restored", passphrase_file="phrase.txt")  # doctest: +SKIP
    """
    unpack(Path(archive), Path(case), Unlocked(_path(identity_file), _path(passphrase_file)))
    return CaseUnpackResult(**shown(Case.open(case)))


@result
class CaseEraseResult(CaseResult):
    """What is left of a case whose patient was erased.

    Attributes
    ----------
    removed_files : int
        How many.
    """

    verb = "erase_case"

    removed_files: int

    def title(self) -> str:
        """That it is done."""
        return "Case: its patient was erased"

    def table(self) -> Table:
        """What was removed, and what is left."""
        rows = [
            ("files of images and results", self.removed_files, 0),
            ("lines of the log, without names", 0, self.log_lines),
        ]
        return Table.of(("what", "removed", "left"), rows, "Erased", "erased")


@verb
def erase_case(case: Path, *, reason: str) -> CaseEraseResult:
    """Erase the patient of a case: all but a log without names that can still be proved.

    Parameters
    ----------
    case : path
        Folder of the case.
    reason : str
        Why, without a name: it stays in the log.

    Returns
    -------
    CaseEraseResult
        What is left.

    Raises
    ------
    InputError
        If no reason is given.
    OutputError
        If something cannot be removed.

    Examples
    --------
    >>> hepatica.erase_case("patient-7", reason="request of the patient")  # doctest: +SKIP
    """
    opened = Case.open(case)
    removed = erase(opened.folder, reason)
    return CaseEraseResult(**shown(opened), removed_files=removed)


@result
class CaseAnonymiseResult(CaseResult):
    """The copy of a case without the person.

    Attributes
    ----------
    refused : tuple of (str, str)
        Images that could not be cleaned for certain and are not in the copy, and why.
    run_again : tuple of str
        Steps that were run again on the copy, with the same numbers.
    """

    verb = "anonymise_case"

    refused: tuple[tuple[str, str], ...]
    run_again: tuple[str, ...]

    def tables(self) -> tuple[Table, ...]:
        """Steps of the copy, its images, and what was refused."""
        left = Table.of(("image", "why"), list(self.refused), "Left out", "left-out")
        return (self.table(), self.images_table(), *((left,) if self.refused else ()))


@verb
def anonymise_case(case: Path, copy: Path, *, progress: Progress | None = None) -> CaseAnonymiseResult:
    """A copy of a case without the person: images cleaned, free texts withheld, dates shifted, steps run again.

    Parameters
    ----------
    case : path
        Folder of the case; it is only read.
    copy : path
        Folder to make.
    progress : callable, optional
        Told what is being done.

    Returns
    -------
    CaseAnonymiseResult
        Steps of the copy; images that were refused, with the reason.

    Raises
    ------
    InputError
        If there is no case, or identity was taken out of only some of its images before.
    OutputError
        If the folder is there, or something of the person was left in the copy: then it is removed.

    Examples
    --------
    >>> hepatica.anonymise_case("patient-7", "for-the-study")  # doctest: +SKIP
    """
    made: Copied = Case.open(case).anonymise(copy, progress=progress)
    found = shown(Case.open(copy))
    messages = (*made.messages, *found.pop("messages"))
    return CaseAnonymiseResult(**found, refused=made.refused, run_again=made.run_again, messages=messages)
