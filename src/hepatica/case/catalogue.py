"""What was added to a case: each series or file, what it is taken for, and the hashes of its files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from hepatica.case.layout import CATALOGUE, VERSION
from hepatica.case.log import canonical
from hepatica.case.sorting.roles import ROLES
from hepatica.core.provenance import sha256
from hepatica.core.text.files import json_file
from hepatica.errors import InputError, UnknownNameError
from hepatica.io.files import atomic_output

CHANGED, GONE = "changed", "gone"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of an item.

    Attributes
    ----------
    path : str
        From the folder of the case, with slashes; absolute where it stays where it came from.
    sha256 : str
        Of its bytes.
    size : int
        In bytes.
    mtime_ns : int
        Of the file when the hash was taken: a file of the same size and time is taken to be the same.
    """

    path: str
    sha256: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Item:
    """A series, or a file that is no DICOM.

    Attributes
    ----------
    name : str
        Its name in the case: "pet-1".
    role : str
        What it is taken for, one of `ROLES`; "unused" where it is nothing that a step needs.
    treatment : int
        The treatment that it belongs to, from 1; 0 where it belongs to all.
    files : tuple of StoredFile
        Its files.
    folder : str
        What a verb is given: the folder or the file, from the folder of the case.
    what : str
        What the file says it is: "PET", "CT localizer".
    description, date, series, frame : str
        Description, date (YYYY-MM-DD), series UID and frame of reference of its header; empty where it has none.
    patient : str
        PatientID of its header.
    by_person : bool
        A person said what it is taken for.
    doubts : tuple of str
        Why it could be something else.
    facts : mapping
        What its header says of it (`sorting.rules.Seen`), so that it is sorted anew when other images come or the
        treatment's instant is stated; empty for a file that is no DICOM.
    """

    name: str
    role: str
    treatment: int
    files: tuple[StoredFile, ...]
    folder: str
    what: str = ""
    description: str = ""
    date: str = ""
    series: str = ""
    frame: str = ""
    patient: str = ""
    by_person: bool = False
    doubts: tuple[str, ...] = field(default=())
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Hash of its content, whatever the files are called."""
        import hashlib

        return hashlib.sha256(canonical(sorted(file.sha256 for file in self.files))).hexdigest()

    def path(self, folder: Path) -> Path:
        """What a verb is given."""
        return folder / self.folder

    def altered(self, folder: Path, *, thorough: bool = False) -> tuple[str, ...]:
        """Files that are not what was added: "images/ct-1/3.dcm changed".

        Parameters
        ----------
        folder : Path
            Of the case.
        thorough : bool
            Hash every file, also where size and time are as they were.
        """
        found = []
        for file in self.files:
            path = folder / file.path
            try:
                state = path.stat()
                same = state.st_size == file.size
                if same and (thorough or state.st_mtime_ns != file.mtime_ns):
                    same = sha256(path) == file.sha256
            except OSError:
                found.append(f"{file.path} {GONE}")
                continue
            if not same:
                found.append(f"{file.path} {CHANGED}")
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All items of a case; iterates over them."""

    items: tuple[Item, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Catalogue:
        """Of the case in a folder; empty where nothing was added.

        Raises
        ------
        InputError
            If the file is damaged or of a newer version.
        """
        path = folder / CATALOGUE
        if not path.exists():
            return cls()
        document = json_file(path)
        try:
            if document["version"] > VERSION:
                raise InputError(f"{path}: was written by a newer hepatica (version {document['version']})")
            return cls(tuple(_item(row) for row in document["items"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: is no list of images of a case ({error!r})") from error

    def write(self, folder: Path) -> None:
        """Replace the file in one step.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        content = {"version": VERSION, "items": [asdict(item) for item in self.items]}
        with atomic_output(folder / CATALOGUE) as path:
            path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def __iter__(self) -> Any:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, name: str) -> Item:
        for item in self.items:
            if item.name == name:
                return item
        raise UnknownNameError("image", name, [item.name for item in self.items])

    def of(self, role: str, treatment: int | None = None) -> tuple[Item, ...]:
        """Items of a role, of one treatment or of all together, by date."""
        fitting = [i for i in self.items if i.role == role and (treatment is None or i.treatment in (0, treatment))]
        return tuple(sorted(fitting, key=lambda item: (item.date, item.name)))

    def adding(self, items: Iterable[Item]) -> Catalogue:
        """With more items."""
        return Catalogue((*self.items, *items))

    def retaken(self, name: str, role: str, treatment: int | None = None) -> Catalogue:
        """With an item taken for what a person says.

        Raises
        ------
        UnknownNameError
            If there is no such item or role.
        """
        if role not in ROLES:
            raise UnknownNameError("role", role, list(ROLES))
        one = self[name]
        number = one.treatment if treatment is None else treatment
        new = replace(one, role=role, treatment=number, by_person=True, doubts=())
        return Catalogue(tuple(new if item.name == name else item for item in self.items))

    def free_name(self, role: str, taken: Iterable[str] = ()) -> str:
        """Name for one more item, by what it is and not by what it is taken for, which may change: "ct-2"."""
        used = {item.name for item in self.items} | set(taken)
        kind = role.rsplit("-", 1)[-1]
        return next(name for number in range(1, len(used) + 2) if (name := f"{kind}-{number}") not in used)


def _item(row: Mapping[str, Any]) -> Item:
    files = tuple(StoredFile(**file) for file in row["files"])
    return Item(**{**row, "files": files, "doubts": tuple(row.get("doubts", ()))})


def stored(path: Path, folder: Path) -> StoredFile:
    """A file as it is now.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        state = path.stat()
        digest = sha256(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    inside = path.is_relative_to(folder)
    name = path.relative_to(folder).as_posix() if inside else str(path.resolve())
    return StoredFile(name, digest, state.st_size, state.st_mtime_ns)
