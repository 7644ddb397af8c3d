"""Which input, which table, which convention, which version, which seed: what every result carries."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hepatica.core.privacy.anonymiser import Anonymiser
from hepatica.core.privacy.identity import NOBODY, Deidentified, Identity
from hepatica.core.privacy.values import anonymised as cleaned
from hepatica.version import __version__

PROFILE = (
    "DICOM PS3.15 basic application level confidentiality profile with clean descriptors, modified dates and patient "
    "characteristics; hashes of inputs are keyed"
)


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file (or a folder of files) that went into a result, with its hash.

    Attributes
    ----------
    role : str
        What it was used as ("activity", "ct", "regions").
    path : str
        As the user named it.
    sha256 : str
        Of the bytes; for a folder, of the sorted hashes of its files that were used.
    files : int
        How many files.
    identity : Identity
        Whom its header is about; of use only to take that out, and in no document.
    paths : tuple of str
        Of its files, and of those beside them that could not be read; likewise.
    """

    role: str
    path: str
    sha256: str
    files: int = 1
    identity: Identity = field(default=NOBODY, repr=False, compare=False)
    paths: tuple[str, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def of(cls, role: str, path: Path, files: list[Path] | None = None) -> InputFile:
        """Hash `path`, or of a folder the `files` that were read (all of it if they are not named)."""
        if files is None and path.is_dir():
            files = files_below(path)
        if files is None:
            return cls(role, str(path), sha256(path))
        digest = hashlib.sha256("".join(sorted(sha256(file) for file in files)).encode()).hexdigest()
        return cls(role, str(path), digest, len(files), paths=tuple(map(str, files)))

    def anonymised(self, anonymiser: Anonymiser) -> InputFile:
        """Its role and a keyed hash."""
        path = anonymiser.path(self.path) if self.path else ""
        return InputFile(self.role, path, anonymiser.secret.hash(self.sha256), self.files)


@dataclass(frozen=True, slots=True)
class Provenance:
    """How a result came about.

    Attributes
    ----------
    inputs : tuple of InputFile
        Files read.
    parameters : mapping
        Settings in force, plain values with units in their names.
    tables : mapping of str to str
        Data table -> version or source.
    conventions : mapping of str to str
        Name of a choice on which the field disagrees -> what was chosen, with its source.
    steps : tuple of str
        What was done, in order, one sentence each.
    deidentified : Deidentified or None
        That identity was taken out.
    """

    inputs: tuple[InputFile, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)
    conventions: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[str, ...] = ()
    deidentified: Deidentified | None = None

    def adding(
        self,
        *steps: str,
        inputs: tuple[InputFile, ...] = (),
        parameters: Mapping[str, Any] | None = None,
        tables: Mapping[str, str] | None = None,
        conventions: Mapping[str, str] | None = None,
    ) -> Provenance:
        """Provenance with more in it; a later parameter, table or convention of the same name wins."""
        return replace(
            self,
            inputs=self.inputs + inputs,
            parameters={**self.parameters, **(parameters or {})},
            tables={**self.tables, **(tables or {})},
            conventions={**self.conventions, **(conventions or {})},
            steps=self.steps + steps,
        )

    def merged(self, other: Provenance) -> Provenance:
        """This one followed by another."""
        return self.adding(
            *other.steps,
            inputs=other.inputs,
            parameters=other.parameters,
            tables=other.tables,
            conventions=other.conventions,
        )

    def anonymised(self, anonymiser: Anonymiser) -> Provenance:
        """Without names, identifiers and paths; dates shifted but those of published tables."""

        def published(texts: Mapping[str, str]) -> dict[str, str]:
            return {key: anonymiser.text(text, dates=False) for key, text in texts.items()}

        return Provenance(
            inputs=tuple(item.anonymised(anonymiser) for item in self.inputs),
            parameters=cleaned(dict(self.parameters), anonymiser),
            tables=published(self.tables),
            conventions=published(self.conventions) | {"de-identification": f"{PROFILE}; key {anonymiser.secret.name}"},
            steps=tuple(map(anonymiser.text, self.steps)),
            deidentified=anonymiser.mark,
        )

    def now(self) -> datetime:
        """The present as a document may state it: shifted like every other date where identity was taken out."""
        shift = timedelta(0) if self.deidentified is None else self.deidentified.shift
        return datetime.now(UTC) + shift

    def as_document(self) -> Mapping[str, Any]:
        """Plain values for JSON, with the software's version and the present time."""
        return {
            "software": "hepatica",
            "version": __version__,
            "python": platform.python_version(),
            "created": self.now().isoformat(timespec="seconds"),
            "inputs": [{"role": i.role, "path": i.path, "sha256": i.sha256, "files": i.files} for i in self.inputs],
            "parameters": dict(self.parameters),
            "tables": dict(self.tables),
            "conventions": dict(self.conventions),
            "steps": list(self.steps),
        }

    as_dict = as_document

    @classmethod
    def document_schema(cls) -> Mapping[str, Any]:
        """JSON schema of `as_document`."""
        texts = {"type": "object", "additionalProperties": {"type": "string"}}
        properties: dict[str, Any] = {
            **{name: {"type": "string"} for name in ("software", "version", "python", "created")},
            "inputs": {
                "type": "array",
                "items": {"type": "object", "required": ["role", "path", "sha256", "files"]},
            },
            "parameters": {"type": "object"},
            "tables": texts,
            "conventions": texts,
            "steps": {"type": "array", "items": {"type": "string"}},
        }
        return {"type": "object", "properties": properties, "required": list(properties)}


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def files_below(folder: Path) -> list[Path]:
    """Files below a folder in order, without hidden ones: what a killed run left, and what desktops leave."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )
