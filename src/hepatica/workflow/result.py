"""What every verb gives back: a document, a table, files, messages, provenance; and it shows itself."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform

from hepatica.core.document import HIDDEN, document, document_schema
from hepatica.core.message import Message
from hepatica.core.privacy.values import anonymised, anonymiser_for
from hepatica.core.provenance import Provenance
from hepatica.core.tables.table import Table
from hepatica.core.text.visible import visible
from hepatica.io.files import output_folder, refuse_inputs, set_times, write_text
from hepatica.io.secret_key import read_secret

NOTICE = "Research software, not a medical device."

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, eq_default=False, field_specifiers=(field,))
def result(cls: type[T]) -> type[T]:
    """Frozen, keyword-only dataclass that keeps the looks of `Result`."""
    return dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)(cls)


@result
class Result:
    """Base of all results; a subclass adds the fields of its document, ``table()`` and, if it has any, more files.

    Attributes
    ----------
    messages : tuple of Message
        What the reader of the numbers must know.
    provenance : Provenance
        Inputs, options, tables, conventions and steps.
    """

    verb: ClassVar[str] = ""
    """Name of the function that gives it."""
    version: ClassVar[int] = 1
    """Of the schema of its document; counted up when a key changes."""

    messages: tuple[Message, ...] = field(default=(), metadata=HIDDEN)
    provenance: Provenance = field(default_factory=Provenance, metadata=HIDDEN)

    def as_dict(self) -> dict[str, Any]:
        """Everything but voxels, for JSON: units in the keys, numbers finite or null, the schema named."""
        return {
            "schema": f"hepatica/{self.verb}/{self.version}",
            "notice": NOTICE,
            **document(self),
            "messages": document(self.messages),
            "provenance": document(self.provenance),
        }

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """JSON schema of ``as_dict()``."""
        own = document_schema(cls)
        head = {"schema": {"const": f"hepatica/{cls.verb}/{cls.version}"}, "notice": {"const": NOTICE}}
        tail = {
            "messages": document_schema(tuple[Message, ...]),
            "provenance": document_schema(Provenance),
        }
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": f"Result of hepatica.{cls.verb}",
            **own,
            "properties": head | own["properties"] | tail,
            "required": [*head, *own["required"], *tail],
        }

    def title(self) -> str:
        """One line that says what this is."""
        return self.verb.replace("_", " ").capitalize()

    def table(self) -> Table:
        """The main table."""
        raise NotImplementedError(f"{type(self).__name__} has no table")

    def tables(self) -> tuple[Table, ...]:
        """All tables that a reader should see, the main one first."""
        return (self.table(),)

    def sentences(self) -> tuple[str, ...]:
        """What the numbers say, shown below the tables."""
        return ()

    @property
    def is_usable(self) -> bool:
        """Whether anything came out that can be used; the command ends with exit code 1 where nothing did."""
        return True

    def measured_values(self) -> Mapping[str, Any]:
        """Values that were measured on the patient here and go into the log of a case; empty for most results."""
        return {}

    def write(self, folder: Path) -> None:
        """Write what belongs to this result beside ``result.json`` and the tables into a new folder."""

    def in_memory(self) -> Self:
        """Same with everything at hand that `write` would read from a file once more."""
        return self

    def anonymous(self, *, key: Path | str | None = None, patient: str = "") -> Self:
        """The same result without identity, for all that can be done with one: print it, save it, take its numbers.

        Names, identifiers, paths and free text are removed or replaced by what a secret key makes of them, UIDs by new
        ones, and dates are shifted by whole weeks; no other number changes. The same key gives the same patient the
        same pseudonym, UIDs and shift in every result.

        Parameters
        ----------
        key : Path or None
            File with the key (64 hexadecimal digits). By default the one that the environment variable
            ``HEPATICA_ANONYMOUS_KEY`` names, else ``hepatica/anonymous.key`` among the user's settings, which is made
            if it is not there.
        patient : str
            PatientID by which dates are shifted, where no file says whose data they are.

        Raises
        ------
        InputError
            If the key cannot be read, others may read it, or identity was taken out of only some of the inputs before.
        """
        if self.provenance.deidentified is not None:
            return self
        whole = self.in_memory()
        return anonymised(whole, anonymiser_for(whole, read_secret(key), patient))

    def save(self, folder: Path | str, *, force: bool = False, anonymous: bool = False) -> Path:
        """Write ``result.json``, each table as CSV, and images, figures and pages where there are any.

        Parameters
        ----------
        folder : Path
            New folder; whole or not at all.
        force : bool
            Replace it if it is there and holds nothing but an unchanged result of hepatica.
        anonymous : bool
            Save `anonymous()` in place of it.

        Raises
        ------
        OutputError
            If the folder exists and is not empty (without `force`), is not hepatica's or holds an input (with it), is
            being written by another process, or cannot be written.
        """
        self.refuse_inputs(folder)
        saved = self.anonymous() if anonymous else self
        with output_folder(folder, force=force) as new:
            saved.write_all(new)
        return Path(folder)

    def refuse_inputs(self, folder: Path | str) -> None:
        """Raise OutputError if a folder that is to be written holds an input, or lies in one and would be replaced."""
        refuse_inputs(folder, (item.path for item in self.provenance.inputs if item.files))  # others are no files

    def write_all(self, folder: Path) -> None:
        """Write everything that `save` does into a folder that is there; wrap in `io.files.output_folder`."""
        self.write(folder)
        for table in self.tables():
            write_text(folder / f"{table.name}.csv", table.csv())
        text = json.dumps(self.as_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        write_text(folder / "result.json", text + "\n")
        if self.provenance.deidentified is not None:
            set_times(folder, self.provenance.now())

    def __str__(self) -> str:
        sentences = "\n".join(self.sentences())
        notes = "\n".join(f"{message.severity}: {message}" for message in self.messages)
        parts = (self.title(), *map(str, self.tables()), sentences, notes, NOTICE)
        return visible("\n\n".join(part for part in parts if part))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        tables = "".join(table._repr_html_() for table in self.tables())
        sentences = "".join(f"<p>{html.escape(visible(sentence))}</p>" for sentence in self.sentences())
        notes = "".join(f"<li>{html.escape(visible(f'{m.severity}: {m}'))}</li>" for m in self.messages)
        below = f"{sentences}<ul>{notes}</ul>" if notes else sentences
        head = f'<p style="white-space:pre-wrap"><b>{html.escape(visible(self.title()))}</b></p>'
        return f"{head}{tables}{below}<p><small>{NOTICE}</small></p>"
