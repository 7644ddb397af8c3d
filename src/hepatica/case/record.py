"""What a step was made from: ``step.json`` in its folder, written with the result in one step."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hepatica.case.layout import RECORD, VERSION
from hepatica.case.log import canonical
from hepatica.case.steps.inputs import Given
from hepatica.core.text.files import json_file
from hepatica.errors import InputError

VOLATILE = ("provenance", "notice")
"""Parts of a document that differ between two runs of the same."""


@dataclass(frozen=True, slots=True)
class Record:
    """What a step was made from, and what came out.

    Attributes
    ----------
    run : str
        Drawn for each run; the log names it.
    inputs : mapping of str to (str, str)
        Option of the verb -> where its value came from, and the hash of it.
    result : str
        Hash of what came out, and of what went in: equal for two runs that are the same.
    software : str
        Version of hepatica.
    """

    run: str
    inputs: Mapping[str, tuple[str, str]]
    result: str
    software: str

    @classmethod
    def of(cls, run: str, given: Sequence[Given], document: Mapping[str, Any], software: str) -> Record:
        """Of a run that ended well."""
        inputs = inputs_of(given)
        return cls(run, inputs, cls.of_document(inputs, document), software)

    @staticmethod
    def of_document(inputs: Mapping[str, tuple[str, str]], document: Mapping[str, Any]) -> str:
        """Hash of what came out, and of what went in."""
        kept = {key: value for key, value in document.items() if key not in VOLATILE}
        return hashlib.sha256(canonical([sorted(inputs.items()), kept])).hexdigest()

    @classmethod
    def read(cls, folder: Path) -> Record:
        """Of the step in a folder.

        Raises
        ------
        InputError
            If it is not there, damaged, or of a newer version.
        """
        path = folder / RECORD
        document = json_file(path)
        try:
            if document["version"] > VERSION:
                raise InputError(f"{path}: was written by a newer hepatica (version {document['version']})")
            inputs = {str(word): (str(source), str(digest)) for word, (source, digest) in document["inputs"].items()}
            return cls(str(document["run"]), inputs, str(document["result"]), str(document["software"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{path}: does not say what the step was made from ({error!r})") from error

    def text(self) -> str:
        """As it is written."""
        content = {
            "version": VERSION,
            "run": self.run,
            "inputs": self.inputs,
            "result": self.result,
            "software": self.software,
        }
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"

    def changes(self, given: Sequence[Given]) -> tuple[str, ...]:
        """How the inputs differ from those that it was made from, in words."""
        now, before = inputs_of(given), self.inputs
        found = []
        for word in sorted(before.keys() | now.keys()):
            if word not in now:
                found.append(f"{before[word][0]} is no longer used")
            elif word not in before:
                found.append(f"{now[word][0]} is new")
            elif now[word][1] != before[word][1]:
                source, old = now[word][0], before[word][0]
                found.append(f"{source} changed" if source == old else f"{source} in place of {old}")
        return tuple(dict.fromkeys(found))


def inputs_of(given: Sequence[Given]) -> dict[str, tuple[str, str]]:
    """Option -> where its value comes from, and its hash."""
    return {one.word: (one.source, one.digest) for one in given}
