"""A copy of a case without the person: images cleaned, facts without free texts, and every result made anew from them.

Results are not copied: the steps that are up to date are run again on what was cleaned, so that nothing in a page, a
picture or a name of a file can come from the original. The copy has a log of its own.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hepatica.case.catalogue import Catalogue, Item, stored
from hepatica.case.changing import changing
from hepatica.case.layout import FACTS, IMAGES, STEPS
from hepatica.case.log import Log
from hepatica.case.protect.cleaned_files import cleaned_file
from hepatica.case.protect.leftovers import leftovers, searched_for
from hepatica.case.protect.personal import Personal
from hepatica.case.running.run import run_steps, situation_of
from hepatica.case.state import Situation
from hepatica.core.message import Message
from hepatica.core.privacy.anonymiser import Anonymiser
from hepatica.core.privacy.identity import Identity
from hepatica.core.privacy.secret import Secret
from hepatica.core.privacy.values import anonymised
from hepatica.core.progress import Progress
from hepatica.errors import HepaticaError, InputError, OutputError
from hepatica.io.dicom.identity.images import deidentified_image
from hepatica.io.dicom.identity.profile import identity_of
from hepatica.io.dicom.tags import open_dicom
from hepatica.io.files import output_folder
from hepatica.version import __version__

FREE_FACTS = {"patient": ("birth_date",), "disease": ("description", "stage"), "treatment": ("name",)}
"""Facts that are withheld: free texts, and the day of birth."""

WITHHELD = "withheld"

SAME = 1e-6
"""Relative difference of numbers of a step that was run again which is no difference.

Monte Carlo adds single-precision counts in the order in which threads end: a number rounds by 6e-8, and sums of a
reconstruction with its scatter differ by up to 2e-7 from run to run of the same files (found with two threads). All
else repeats to 1e-12. A file that lost or gained anything differs by far more than either.
"""


@dataclass(frozen=True, slots=True)
class Copied:
    """What became of a case.

    Attributes
    ----------
    refused : tuple of (str, str)
        Images that were left out, and why.
    run_again : tuple of str
        Steps that were run again with the same numbers.
    messages : tuple of Message
        What else is not as in the original.
    """

    refused: tuple[tuple[str, str], ...]
    run_again: tuple[str, ...]
    messages: tuple[Message, ...]


def anonymise(situation: Situation, out: Path, secret: Secret, progress: Progress) -> Copied:
    """Make the copy; the original is read only.

    Parameters
    ----------
    situation : Situation
        The case.
    out : Path
        New folder.
    secret : Secret
        Makes pseudonyms, UIDs and the shift of dates.
    progress : callable
        Told what is being done.

    Raises
    ------
    InputError
        If the patient was erased already, or identity was taken out of only some of the images before.
    OutputError
        If the folder is there and not empty, or something of the person was left in it: then it is removed.
    """
    if not situation.facts.treatments and not len(situation.catalogue):
        raise InputError(f"{situation.folder}: holds no patient")
    progress("looking for what says whose it is")
    identities = list(_identities(situation))
    anonymiser = Anonymiser.of(secret, identities, {})
    words = searched_for(identities, _uids(situation.catalogue))
    with output_folder(out, listed=False) as new:
        (new / STEPS).mkdir()
        refused = _clean_into(new, situation, anonymiser, progress)
    try:
        run_again, messages = _repeat(situation, out, progress)
        progress("searching the copy")
        left = leftovers(out, words)
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise
    if left:
        shutil.rmtree(out)
        listed = ", ".join(f"{name} ({word!r})" for name, word in left[:3])
        raise OutputError(
            f"{out}: something of the person was left in {listed}; the copy was removed",
            remedy="choose a folder whose path names nobody, and look for names in structures and options",
        )
    return Copied(tuple(refused), run_again, messages)


def _identities(situation: Situation) -> Iterator[Identity]:
    """Everything that headers, facts and the log say of persons."""
    for item in situation.catalogue:
        for file in item.files if item.series else ():
            try:
                yield identity_of(open_dicom(situation.folder / file.path, check_length=False))
            except HepaticaError:
                continue  # a file that cannot be read is refused later on
    patient = situation.facts.table("patient")
    number, name = str(patient.get("id", "")), str(patient.get("name", ""))
    yield Identity(patient_id=number, people=(name,) if name else ())
    checked_by = tuple(str(kept["by"]) for kept in situation.personal.values() if "by" in kept)
    yield Identity(people=checked_by)


def _uids(catalogue: Catalogue) -> Iterator[str]:
    for item in catalogue:
        yield from filter(None, (item.series, item.frame))


def _clean_into(new: Path, situation: Situation, anonymiser: Anonymiser, say: Progress) -> list[tuple[str, str]]:
    """Write facts, images and the first lines of the log; what was refused, and why."""
    (new / FACTS).write_text(_facts(situation, anonymiser), encoding="utf-8")
    personal = Personal.new(new)
    log = Log(new, personal)
    log.append("created", {"software": __version__})
    about = {"key": anonymiser.secret.name, "original": anonymiser.secret.hash(situation.history.last_hash)}
    log.append("anonymised", about | {"lines": len(situation.history.entries)})
    log.append("facts", {"digest": personal.digest((new / FACTS).read_bytes())})
    items, refused = [], []
    (new / IMAGES).mkdir()
    for item in situation.catalogue:
        say(f"cleaning {item.name}")
        if item.name in situation.altered:
            refused.append((item.name, "it is not what was added"))
            continue
        try:
            items.append(_cleaned_item(item, situation.folder, new, anonymiser))
        except HepaticaError as error:
            shutil.rmtree(new / IMAGES / item.name, ignore_errors=True)
            refused.append((item.name, _reason(error, item, situation.folder)))
    Catalogue(tuple(items)).write(new)
    for item in items:
        log.append("added", {"item": item.name, "role": item.role, "digest": item.digest})
    for name, _ in refused:
        log.append("left-out", {"item": name})
    return refused


def _reason(error: HepaticaError, item: Item, folder: Path) -> str:
    """Why a file was refused, without its path."""
    text = str(error)
    for file in item.files:
        text = text.replace(str(folder / file.path), "").replace(file.path, "")
    return text.strip(": ")


def _cleaned_item(item: Item, folder: Path, new: Path, anonymiser: Anonymiser) -> Item:
    place = new / IMAGES / item.name
    place.mkdir()
    files = []
    for number, file in enumerate(item.files, 1):
        source = folder / file.path
        if item.series:
            name, content = f"{number:04d}.dcm", deidentified_image(source, anonymiser)
        else:
            name, content = f"{item.name}{''.join(source.suffixes)[-7:].lower()}", cleaned_file(source, anonymiser)
        (place / name).write_bytes(content)
        files.append(stored(place / name, new))
    lone = len(files) == 1
    where = Path(files[0].path) if lone else Path(IMAGES) / item.name
    return replace(
        item,
        files=tuple(files),
        folder=where.as_posix(),
        description="",
        date=anonymiser.text(item.date),
        series=anonymiser.uid(item.series),
        frame=anonymiser.uid(item.frame),
        patient=anonymiser.person(item.patient),
        by_person=True,
        doubts=(),
        facts={},
    )


def _facts(situation: Situation, anonymiser: Anonymiser) -> str:
    """``case.toml`` without free texts, its dates shifted."""
    import tomlkit

    content = {key: value for key, value in situation.facts.content.items() if key in ("case", "patient", "disease")}
    content |= {"treatment": [dict(one) for one in situation.facts.treatments]}
    kept = _without_free_texts(content)
    patient = kept.get("patient", {})
    names = {key: anonymiser.person(str(patient.get("id") or patient[key])) for key in ("id", "name") if key in patient}
    clean = anonymised({key: value for key, value in kept.items() if key != "patient"}, anonymiser)
    rest = anonymised({key: value for key, value in patient.items() if key not in names}, anonymiser)
    clean = {"case": clean.pop("case"), "patient": {**names, **rest}, **clean}
    clean["case"].pop("retain_until", None)
    return tomlkit.dumps(json.loads(json.dumps(clean, default=str)))


def _without_free_texts(content: Mapping[str, Any]) -> dict[str, Any]:
    def clean(table: Mapping[str, Any], name: str) -> dict[str, Any]:
        return {key: value for key, value in table.items() if key not in FREE_FACTS.get(name, ())}

    return {
        name: [clean(one, name) for one in table] if isinstance(table, list) else clean(table, name)
        for name, table in content.items()
    }


def _repeat(situation: Situation, out: Path, say: Progress) -> tuple[tuple[str, ...], tuple[Message, ...]]:
    """Run again what is up to date in the original, and leave out and check what was left out and checked there."""
    run_again, messages = [], []
    with changing(out) as log:
        for state in situation.steps.values():
            last = situation.last(state.name)
            if last is not None and last.what == "skipped":
                log.append("skipped", {"step": state.name}, {"reason": WITHHELD})
            if state.state != "done":
                continue
            try:
                run_steps(out, log, [state.name], say)
            except HepaticaError as error:
                text = f"{state.name} could not be repeated: {error}"
                messages.append(Message("step-not-repeated", text, "see what was refused"))
                continue
            if state.checked_by:
                now = situation_of(out).steps[state.name]
                log.append("checked", {"step": state.name, "result": now.result}, {"by": WITHHELD})
            different = _difference(situation.folder, out, state.name)
            if different:
                text = f"{state.name} has other numbers than in the original ({different})"
                messages.append(Message("numbers-differ", text, "look at both before you use the copy"))
            else:
                run_again.append(state.name)
    return tuple(run_again), tuple(messages)


def _difference(first: Path, second: Path, step: str) -> str:
    """Where the results of a step differ most in a number, and by how much; empty where they do not."""
    documents = [json.loads((folder / STEPS / step / "result.json").read_text("utf-8")) for folder in (first, second)]
    numbers = [dict(_numbers(document, "")) for document in documents]
    if numbers[0].keys() != numbers[1].keys():
        return ", ".join(sorted(numbers[0].keys() ^ numbers[1].keys())[:2])
    apart = {
        key: abs(value - numbers[1][key]) / max(abs(value), abs(numbers[1][key]), 1e-30)
        for key, value in numbers[0].items()
    }
    most = max(apart, key=lambda key: apart[key], default="")
    return f"{most} by {100 * apart[most]:.2g} %" if most and apart[most] > SAME else ""


def _numbers(value: Any, where: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key not in ("provenance", "messages"):
                yield from _numbers(item, f"{where}.{key}".strip("."))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _numbers(item, f"{where}.{number}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield where, float(value)
