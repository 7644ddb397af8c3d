"""Files that come into a case: sorted or named, copied or left where they are, with their hashes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from hepatica.case.catalogue import Catalogue, Item, stored
from hepatica.case.facts import Facts
from hepatica.case.layout import IMAGES
from hepatica.case.log import Log
from hepatica.case.sorting.heap import Found, Heap, sort_heap
from hepatica.case.sorting.roles import ROLES
from hepatica.case.sorting.rules import guesses
from hepatica.case.sorting.seen import Guess, Seen
from hepatica.case.sorting.tables import STEP_OF, doubts_of, require_own, table_of
from hepatica.case.steps.course import STEPS as STEP_NAMES
from hepatica.errors import InputError, UnknownNameError
from hepatica.io.dicom.scan import Skipped
from hepatica.io.files import output_folder
from hepatica.io.input_files import is_file
from hepatica.nuclides import agent, nuclide


@dataclass(frozen=True, slots=True)
class Added:
    """What came in.

    Attributes
    ----------
    items : tuple of Item
        New in the case.
    known : tuple of str
        Names of items whose files came once more; they are not added again.
    skipped : tuple of Skipped
        Files that are nothing for a case, and why.
    """

    items: tuple[Item, ...]
    known: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """How files are to be added.

    Attributes
    ----------
    role : str or None
        What all of them are; None to sort them.
    treatment : int or None
        The treatment that they belong to; None to tell by their date.
    reference : bool
        Leave them where they are.
    leave_foreign : bool
        Leave out files of another patient and say so, where a refusal of all would hold up what came with them.
    """

    role: str | None = None
    treatment: int | None = None
    reference: bool = False
    leave_foreign: bool = False


def add_files(folder: Path, log: Log, path: Path, wish: Wish) -> Added:
    """Add what is below a path; the caller holds the case.

    Raises
    ------
    InputError
        If nothing is there, or files are of another patient than the case.
    UnknownNameError
        If there is no such role.
    """
    if wish.role is not None and wish.role not in ROLES:
        raise UnknownNameError("role", wish.role, list(ROLES))
    facts = Facts.read(folder, STEP_NAMES)
    catalogue = Catalogue.read(folder)
    heap = sort_heap(path, _instants(facts), _frames(catalogue))
    if not heap.found and wish.role is not None and is_file(path):
        heap = Heap((Found((path,), None, Guess(wish.role)),))
    return take_heap(folder, log, path, heap, wish)


def take_heap(folder: Path, log: Log, path: Path, heap: Heap, wish: Wish) -> Added:
    """Add what was sorted; the caller holds the case.

    Raises
    ------
    InputError
        If nothing is there, or files are of another patient than the case.
    """
    facts, catalogue = Facts.read(folder, STEP_NAMES), Catalogue.read(folder)
    if not heap.found:
        said = "; ".join(f"{item.path}: {item.reason}" for item in heap.skipped[:3])
        raise InputError(f"{path}: holds nothing for a case{f' ({said})' if said else ''}")
    if wish.leave_foreign:
        heap = _own(heap, _patients(facts, catalogue))
    require_same_patient(facts, catalogue, heap)
    _require_own_tables(facts, catalogue, heap, wish)
    new: list[Item] = []
    known: list[str] = []
    for found in heap.found:
        items = (*catalogue.items, *new)
        item = _item(found, folder, Catalogue(items), wish)
        if found.seen is None:
            item = replace(item, doubts=(*item.doubts, *doubts_of(found.files[0], item.role, facts)))
        if (same := next((one for one in items if _holds(one, item)), None)) is not None:
            known.append(same.name)
            continue
        if (before := next((one for one in items if _is_part(one, item)), None)) is not None:
            item = _grown(before, item)
        new.append(item if wish.reference else _taken_in(item, found, folder))
    names = {item.name for item in new}
    whole = sorted_anew(Catalogue(tuple(one for one in catalogue if one.name not in names)).adding(new), facts)
    whole.write(folder)
    for item in (whole[one.name] for one in new):
        log.append("added", {"item": item.name, "role": item.role, "digest": item.digest}, {"path": str(path)})
    _note_changes(catalogue, whole, log)
    return Added(tuple(whole[item.name] for item in new), tuple(known), heap.skipped)


def _holds(one: Item, other: Item) -> bool:
    """Whether an item has every file of another, and is the same series or no series at all."""
    return _hashes(other) <= _hashes(one) and one.series == other.series


def _is_part(one: Item, other: Item) -> bool:
    """Whether an item is the beginning of a series of which more files came."""
    return bool(one.series) and one.series == other.series and _hashes(one) < _hashes(other)


def _grown(before: Item, item: Item) -> Item:
    """The whole series under the name of its beginning; what a person said of that stays."""
    item = replace(item, name=before.name)
    if before.by_person and not item.by_person:
        item = replace(item, role=before.role, treatment=before.treatment, by_person=True, doubts=())
    return item


def _hashes(item: Item) -> frozenset[str]:
    return frozenset(file.sha256 for file in item.files)


def sort_again(folder: Path, log: Log) -> None:
    """Sort all images anew, after the facts changed; the caller holds the case."""
    catalogue = Catalogue.read(folder)
    found = sorted_anew(catalogue, Facts.read(folder, STEP_NAMES))
    if found != catalogue:
        found.write(folder)
        _note_changes(catalogue, found, log)


def sorted_anew(catalogue: Catalogue, facts: Facts) -> Catalogue:
    """Every image taken for what it is beside all others; what a person said stays."""
    free = [item for item in catalogue if item.facts and not item.by_person]
    told = {item.frame: Guess(item.role, item.treatment) for item in catalogue if item.by_person and item.frame}
    # a registration lies in two frames, and says of neither what it is
    known = {frame: guess for frame, guess in told.items() if guess.role not in ("unused", "registration")}
    seen = [Seen.of(item.facts) for item in free]
    guessed = guesses(seen, _instants(facts), known, [_nuclide(one) for one in facts.treatments])
    found = {item.name: guess for item, guess in zip(free, guessed, strict=True)}
    return Catalogue(
        tuple(
            item
            if (guess := found.get(item.name)) is None
            else replace(
                item,
                role=guess.role,
                treatment=guess.treatment,
                doubts=(*guess.doubts, *_other_content(item, free), *_other_person(item, free)),
            )
            for item in catalogue
        )
    )


def _other_content(item: Item, items: Sequence[Item]) -> tuple[str, ...]:
    """One series identifier for two contents: sent again after it was changed, or made by hand."""
    others = [one.name for one in items if one.name != item.name and item.series and one.series == item.series]
    return (f"has the series identifier of {', '.join(others)} and other content: keep one",) if others else ()


def _other_person(item: Item, items: Sequence[Item]) -> tuple[str, ...]:
    """One PatientID for two names or birth dates, or no identity at all."""
    own = Seen.of(item.facts)
    doubts = []
    for what, key, value in (("name", "name", own.name), ("birth date", "birth_date", own.birth_date)):
        others = [one.name for one in items if value and one.facts.get(key) and one.facts[key] != value]
        if others:
            doubts.append(f"has another {what} of the patient than {', '.join(others[:3])}: is it the same person?")
    if not own.patient and not own.name and any(one.patient for one in items):
        doubts.append("names no patient, as others do: is it the same person?")
    return tuple(doubts)


def _note_changes(before: Catalogue, after: Catalogue, log: Log) -> None:
    for item in before:
        now = after[item.name]
        if (now.role, now.treatment) != (item.role, item.treatment):
            log.append("taken", {"item": item.name, "role": now.role, "treatment": now.treatment, "sorted": True})


def _instants(facts: Facts) -> list[datetime | None]:
    """Instant of each treatment by its own clock."""
    found: list[datetime | None] = []
    for treatment in facts.treatments:
        try:
            found.append(datetime.fromisoformat(str(treatment.get("at"))).replace(tzinfo=None))
        except ValueError:
            found.append(None)
    return found


def _nuclide(treatment: Mapping[str, Any]) -> str | None:
    """Nuclide of a treatment, where it is stated and known."""
    named = treatment.get("nuclide"), treatment.get("agent")
    try:
        return nuclide(str(named[0])).name if named[0] else agent(str(named[1])).nuclide_name if named[1] else None
    except UnknownNameError:
        return None


def _frames(catalogue: Catalogue) -> dict[str, Guess]:
    """Role and treatment by frame of reference: activity before what lies beside it."""
    items = sorted(catalogue, key=lambda item: item.role.endswith(("-ct", "-mr", "-structures")))
    found: dict[str, Guess] = {}
    for item in items:
        if item.frame and item.role not in ("unused", "registration"):
            found.setdefault(item.frame, Guess(item.role, item.treatment))
    return found


def patient_ids(folder: Path) -> tuple[str, ...]:
    """PatientIDs that a case holds."""
    return tuple(_patients(Facts.read(folder, STEP_NAMES), Catalogue.read(folder)))


def _patients(facts: Facts, catalogue: Catalogue) -> dict[str, str]:
    """PatientIDs that the case holds, and where each stands."""
    stated = facts.table("patient").get("id")
    named: dict[str, str] = {} if stated is None else {str(stated): str(facts.path)}
    for item in catalogue:
        if item.patient:
            named.setdefault(item.patient, item.name)
    return named


def _own(heap: Heap, known: Mapping[str, str]) -> Heap:
    """The heap without the files of other patients, if the case knows whose it is."""
    foreign = [one for one in heap.found if known and one.seen is not None and one.seen.patient not in ("", *known)]
    left = tuple(Skipped(file, "is of another patient") for one in foreign for file in one.files)
    return Heap(tuple(one for one in heap.found if one not in foreign), (*heap.skipped, *left))


def require_same_patient(facts: Facts, catalogue: Catalogue, heap: Heap | None = None) -> None:
    """One case, one patient: by PatientID where files have one.

    Raises
    ------
    InputError
        If two are named.
    """
    named = _patients(facts, catalogue)
    for found in () if heap is None else heap.found:
        if found.seen is not None and found.seen.patient:
            named.setdefault(found.seen.patient, str(found.files[0]))
    if len(named) > 1:
        (first, here), (second, there), *_ = named.items()
        raise InputError(
            f"{there} is of patient {second!r}, {here} of {first!r}; a case is one patient's",
            remedy="add the files of this patient alone, or correct patient.id if both are one person",
        )


def _require_own_tables(facts: Facts, catalogue: Catalogue, heap: Heap, wish: Wish) -> None:
    """One case, one patient, in tables too; one that cannot be read says so in its doubts."""
    for found in heap.found:
        role = found.guess.role if wish.role is None else wish.role
        if found.seen is None and role in STEP_OF:
            try:
                table = table_of(found.files[0], role, facts)
            except InputError:
                continue
            require_own(table, facts, catalogue)


def _item(found: Found, folder: Path, catalogue: Catalogue, wish: Wish) -> Item:
    """As it would be where it lies."""
    guess, seen = found.guess, found.seen
    role = guess.role if wish.role is None else wish.role
    at = seen.at if seen is not None else None
    lone = seen is None or len(found.files) == 1
    return Item(
        name=catalogue.free_name(role),
        role=role,
        treatment=guess.treatment if wish.treatment is None else wish.treatment,
        files=tuple(stored(file, folder) for file in found.files),
        folder=str(found.files[0].resolve() if lone else _above(found.files)),
        what=guess.why if seen is None else seen.what,
        description="" if seen is None else seen.description,
        date="" if at is None else at.date().isoformat(),
        series=found.series,
        frame="" if seen is None else next(iter(seen.refers_to), seen.frame),
        patient="" if seen is None else seen.patient,
        by_person=wish.role is not None,
        doubts=() if wish.role is not None else guess.doubts,
        facts={} if seen is None or wish.treatment is not None else seen.facts(),
    )


def _above(files: Sequence[Path]) -> Path:
    return Path(os.path.commonpath([file.resolve().parent for file in files]))


def _taken_in(item: Item, found: Found, folder: Path) -> Item:
    """The item with copies of its files in the case, whole or absent."""
    place = folder / IMAGES / item.name
    names = dict(_names(found.files))
    with output_folder(place, force=place.exists()) as new:
        for file, name in names.items():
            shutil.copy2(file, new / name)
    copies = tuple(stored(place / name, folder) for name in names.values())
    lone = found.seen is None or len(copies) == 1
    where = place / next(iter(names.values())) if lone else place
    return replace(item, files=copies, folder=where.relative_to(folder).as_posix())


def _names(files: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """A name for each file in one folder: its own, with a number where several folders have it."""
    counts: dict[str, int] = {}
    for file in files:
        number = counts.get(file.name, 0)
        counts[file.name] = number + 1
        yield file, file.name if number == 0 else f"{number}-{file.name}"
