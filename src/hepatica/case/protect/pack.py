"""A case as one encrypted file for transfer or backup, in the format of age (age-encryption.org/v1)."""

from __future__ import annotations

import tarfile
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hepatica.case.catalogue import Catalogue
from hepatica.case.changing import changing
from hepatica.case.layout import FACTS, LOCK, LOG, STEPS
from hepatica.case.log import Log
from hepatica.case.protect.personal import Personal
from hepatica.core.text.files import text_file
from hepatica.errors import InputError, OutputError
from hepatica.io.files import atomic_output, output_folder
from hepatica.io.files.manifest import altered_files

MAX_WITH_PASSPHRASE_BYTES = 2_000_000_000
"""With a passphrase the archive is encrypted in memory; more needs the key of a receiver, which has no limit."""

ATTEMPTS = 6
TOO_MUCH_WORK = "Excessive work parameter"
"""How age refuses a passphrase whose hashing would take this machine sixteen times as long as it would choose itself.
It measures that each time, and a busy machine measures wrong."""

MIN_PASSPHRASE = 12
"""Characters; the file can be tried for as long as somebody likes."""


@dataclass(frozen=True, slots=True)
class Lock:
    """Who can open an archive: whoever has the key that belongs to a recipient, or knows a passphrase.

    Attributes
    ----------
    recipients : tuple of str
        Public keys of age ("age1...").
    passphrase : str
        Instead of them.
    """

    recipients: tuple[str, ...] = ()
    passphrase: str = ""

    @classmethod
    def of(cls, recipients: Sequence[str], passphrase_file: Path | None) -> Lock:
        """From what a person states.

        Raises
        ------
        InputError
            If neither or both are given, or the passphrase is too short.
        """
        if bool(recipients) == (passphrase_file is not None):
            raise InputError("an archive needs either `recipients` or a `passphrase_file`")
        if passphrase_file is None:
            return cls(tuple(recipients))
        return cls(passphrase=passphrase_of(passphrase_file))


def passphrase_of(path: Path) -> str:
    """The passphrase in a file.

    Raises
    ------
    InputError
        If the file cannot be read or the passphrase is too short.
    """
    found = text_file(path).strip()
    if len(found) < MIN_PASSPHRASE:
        raise InputError(f"{path}: a passphrase has at least {MIN_PASSPHRASE} characters")
    return found


def pack(folder: Path, archive: Path, lock: Lock) -> None:
    """Write a case into one encrypted file; files that it only refers to stay where they are, and are refused.

    Raises
    ------
    InputError
        If the case refers to files outside of it, a recipient is no key, or the archive lies in the case.
    OutputError
        If the archive cannot be written, or is there already.
    """
    import pyrage

    if archive.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{archive}: lies in the case itself")
    if archive.exists():
        raise OutputError(f"{archive}: is there already")
    recipients = [_recipient(text) for text in lock.recipients]
    outside = [i.name for i in Catalogue.read(folder) if any(Path(file.path).is_absolute() for file in i.files)]
    if outside:
        raise InputError(f"{folder}: {', '.join(outside)} lie outside of the case", remedy="add their files to it")
    _require_whole(folder)
    with changing(folder) as log, tempfile.TemporaryDirectory(dir=archive.parent) as place:
        log.append("packed", {"recipients": len(recipients)})
        plain = Path(place) / "case.tar.gz"
        with tarfile.open(plain, "w:gz", compresslevel=1) as tar:
            tar.add(folder, arcname="case", filter=lambda member: None if Path(member.name).name == LOCK else member)
        try:
            with atomic_output(archive) as new:
                if recipients:
                    pyrage.encrypt_file(str(plain), str(new), recipients)
                else:
                    new.write_bytes(pyrage.passphrase.encrypt(_small(plain), lock.passphrase))
        except pyrage.EncryptError as error:
            raise OutputError(f"{archive}: cannot be encrypted ({error})") from error


def _require_whole(folder: Path) -> None:
    """A backup that could not be proved is none."""
    altered = _altered(folder)
    if altered:
        raise InputError(
            f"{folder}: {'; '.join(altered[:3])}: the archive could not be proved",
            remedy="bring back the files, add them anew, or run the step again",
        )


def _altered(folder: Path) -> list[str]:
    """Files of images and results that are not what was added or made, by the hash of each."""
    found = [text for item in Catalogue.read(folder) for text in item.altered(folder, thorough=True)]
    places = sorted((folder / STEPS).iterdir()) if (folder / STEPS).is_dir() else []
    for place in places:
        found += [f"{STEPS}/{place.name}/{text}" for text in altered_files(place, thorough=True)]
    return found


def _small(plain: Path) -> bytes:
    size = plain.stat().st_size
    if size > MAX_WITH_PASSPHRASE_BYTES:
        raise InputError(
            f"the case has {size / 1e9:.1f} GB, too much for a passphrase", remedy="name the receiver's key"
        )
    return plain.read_bytes()


def _recipient(text: str) -> object:
    import pyrage

    try:
        return pyrage.x25519.Recipient.from_str(text.strip())
    except pyrage.RecipientError as error:
        raise InputError(f"{text!r} is no public key of age ({error})", remedy='it begins with "age1"') from error


@dataclass(frozen=True, slots=True)
class Unlocked:
    """By what an archive is opened: a file with age identities, or one with the passphrase."""

    identity_file: Path | None = None
    passphrase_file: Path | None = None


def unpack(archive: Path, folder: Path, by: Unlocked) -> None:
    """Write the case of an archive into a new folder, proved: every file by its hash, the log line by line.

    Raises
    ------
    InputError
        If the archive cannot be opened with this key, holds no case, or one that does not hold together.
    OutputError
        If the folder is there already or cannot be written.
    """
    if (by.identity_file is None) == (by.passphrase_file is None):
        raise InputError("to open an archive needs either `identity_file` or `passphrase_file`")
    with tempfile.TemporaryDirectory(dir=folder.resolve().parent) as place:
        plain = Path(place) / "case.tar.gz"
        _decrypt(archive, plain, by)
        with output_folder(folder, listed=False) as new:
            _extract(archive, plain, new)
            _prove(archive, new)


def _decrypt(archive: Path, plain: Path, by: Unlocked) -> None:
    import pyrage

    try:
        if by.passphrase_file is not None:
            if archive.stat().st_size > 1.1 * MAX_WITH_PASSPHRASE_BYTES:
                raise InputError(f"{archive}: is too large for one with a passphrase")
            plain.write_bytes(by_passphrase(archive.read_bytes(), passphrase_of(by.passphrase_file)))
        else:
            assert by.identity_file is not None
            lines = [line.strip() for line in text_file(by.identity_file).splitlines()]
            keys = [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
            pyrage.decrypt_file(str(archive), str(plain), keys)
    except pyrage.IdentityError as error:
        raise InputError(f"{by.identity_file}: holds no identity of age ({error})") from error
    except pyrage.DecryptError as error:
        raise InputError(f"{archive}: cannot be opened with this key, or is damaged ({error})") from error
    except OSError as error:
        raise InputError(f"{error.filename or archive}: cannot be read ({error.strerror})") from error


def by_passphrase(archive: bytes, passphrase: str) -> bytes:
    """The archive opened; age refuses the work that another machine chose if this one looks too slow at the moment."""
    import pyrage

    for attempt in range(ATTEMPTS):
        try:
            return bytes(pyrage.passphrase.decrypt(archive, passphrase))
        except pyrage.DecryptError as error:
            if TOO_MUCH_WORK not in str(error) or attempt == ATTEMPTS - 1:
                raise
            time.sleep(1.0 + attempt)
    raise AssertionError("never reached")


def _extract(archive: Path, plain: Path, new: Path) -> None:
    """Files and folders of the case; nothing that leads out of it."""
    try:
        with tarfile.open(plain) as tar:
            for member in tar:
                inside = Path(*Path(member.name).parts[1:])
                if inside.parts and (member.isfile() or member.isdir()):
                    tar.extract(member.replace(name=str(inside)), new, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InputError(f"{archive}: holds no whole case ({error})") from error


def _prove(archive: Path, new: Path) -> None:
    if not (new / FACTS).exists() or not (new / LOG).exists():
        raise InputError(f"{archive}: holds no case")
    problem = Log(new, Personal.open(new)).read().problem
    altered = _altered(new)
    if problem or altered:
        raise InputError(f"{archive}: the case in it does not hold together: {problem or '; '.join(altered[:3])}")
