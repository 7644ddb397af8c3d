"""The case of one patient: a folder that holds facts, images, steps and the log, and what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from hepatica.case.catalogue import Catalogue, Item, stored
from hepatica.case.changing import changing
from hepatica.case.facts import TEMPLATE, Facts, with_value
from hepatica.case.layout import FACTS, IMAGES, LOG, STEPS
from hepatica.case.log import History, Log
from hepatica.case.personal import Personal
from hepatica.case.run import run_steps, situation_of
from hepatica.case.sorting.roles import ROLES
from hepatica.case.state import Situation, StepState
from hepatica.case.steps.course import STEPS as STEP_NAMES
from hepatica.core.progress import Progress, silent
from hepatica.core.table import Table
from hepatica.core.text_files import toml_text
from hepatica.errors import InputError, UnknownNameError
from hepatica.io.files import atomic_output, output_folder
from hepatica.io.input_files import is_file
from hepatica.version import __version__


@dataclass(frozen=True, slots=True)
class Case:
    """One patient's course in a folder.

    Attributes
    ----------
    folder : Path
        Of the case.

    Examples
    --------
    >>> case = hepatica.Case.open("patient-7")  # doctest: +SKIP
    >>> case.run("plan")  # doctest: +SKIP
    >>> case.status()  # doctest: +SKIP
    """

    folder: Path

    @classmethod
    def new(cls, folder: Path | str) -> Case:
        """Make the folder of a new case, with a ``case.toml`` to fill in.

        Raises
        ------
        OutputError
            If the folder is there and not empty, or cannot be written.
        """
        folder = Path(folder)
        with output_folder(folder, listed=False) as new:
            (new / FACTS).write_text(TEMPLATE, encoding="utf-8")
            (new / IMAGES).mkdir()
            (new / STEPS).mkdir()
            personal = Personal.new(new)
            log = Log(new, personal)
            log.append("created", {"software": __version__})
            log.append("facts", {"digest": personal.digest(TEMPLATE.encode())})
        return cls(folder)

    @classmethod
    def open(cls, folder: Path | str) -> Case:
        """The case in a folder; what a killed run left is put right by the next change.

        Raises
        ------
        InputError
            If there is no case, it is damaged, or a newer hepatica wrote it.
        """
        case = cls(Path(folder))
        if not is_file(case.folder / FACTS) or not is_file(case.folder / LOG):
            raise InputError(
                f"{folder}: is no case (it has no {FACTS} and {LOG})", remedy="make one: hepatica case new"
            )
        Facts.read(case.folder, STEP_NAMES)
        return case

    def situation(self) -> Situation:
        """All that is known of it now.

        Raises
        ------
        InputError
            If a file of the case is damaged.
        """
        return situation_of(self.folder)

    def history(self) -> History:
        """The log, proved line by line."""
        return Log(self.folder, Personal.open(self.folder)).read()

    def steps(self) -> tuple[StepState, ...]:
        """All steps as they stand."""
        return tuple(self.situation().steps.values())

    def __getitem__(self, step: str) -> Path:
        """Folder of the result of a step.

        Raises
        ------
        UnknownNameError
            If there is no such step, or it was not run.
        """
        records = self.situation().records
        if step not in records:
            raise UnknownNameError("result", step, list(records))
        return self.folder / STEPS / step

    def table(self) -> Table:
        """One row for each step."""
        rows = [(s.name, s.title, s.state, "; ".join(s.reasons), s.checked_by) for s in self.steps()]
        return Table.of(("step", "what it is", "state", "why", "checked by"), rows, "Steps", "steps")

    def __str__(self) -> str:
        return f"Case {self.folder}\n\n{self.table()}"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def add(self, path: Path | str, role: str, *, treatment: int = 0, reference: bool = False) -> Item:
        """Add a file or a folder of files of one role.

        Parameters
        ----------
        path : Path
            File, or folder of one series.
        role : str
            What it is, one of `ROLES`.
        treatment : int
            The treatment that it belongs to; 0 for all.
        reference : bool
            Leave the files where they are, and keep their hashes.

        Raises
        ------
        InputError
            If nothing is there, or it was added already.
        UnknownNameError
            If there is no such role.
        """
        if role not in ROLES:
            raise UnknownNameError("role", role, list(ROLES))
        source = Path(path)
        files = _files_of(source)
        with self._changing() as log:
            catalogue = Catalogue.read(self.folder)
            name = catalogue.free_name(role)
            if reference:
                place = source.resolve()
                kept = [file.resolve() for file in files]
            else:
                place = self.folder / IMAGES / name
                kept = _copied(source, files, place)
                place = place if source.is_dir() else kept[0]
            item = Item(
                name=name,
                role=role,
                treatment=treatment,
                files=tuple(stored(file, self.folder) for file in kept),
                folder=str(place) if reference else place.relative_to(self.folder).as_posix(),
                by_person=True,
            )
            if (known := _same(catalogue, item)) is not None:
                raise InputError(f"{path}: was added already, as {known.name}")
            catalogue.adding([item]).write(self.folder)
            log.append("added", {"item": name, "role": role, "digest": item.digest}, {"path": str(path)})
        return item

    def set(self, **values: str | None) -> None:
        """State values by dotted keys: ``case.set(**{"patient.weight": "75 kg"})``; None takes a key away.

        Raises
        ------
        InputError
            If a key or value is none that the case can hold; the file is then as it was.
        """
        path = self.folder / FACTS
        with self._changing() as log:
            text = path.read_text(encoding="utf-8")
            for key, value in values.items():
                text = with_value(text, key, value, path)
            Facts.of(path, toml_text(text, path), STEP_NAMES)
            with atomic_output(path) as new:
                new.write_text(text, encoding="utf-8")
            log.append("facts", {"keys": sorted(values), "digest": log.personal.digest(text.encode())}, dict(values))

    def check(self, step: str, by: str) -> None:
        """Note that somebody checked the result of a step that is done. Who it was is a claim: there is no log-in.

        Raises
        ------
        InputError
            If the step is not done, or no name is given.
        """
        if not by.strip():
            raise InputError("a check needs the name of who checked")
        with self._changing() as log:
            state = self._known(step)
            if state.state != "done":
                raise InputError(f"{step} is {state.state}: {'; '.join(state.reasons)}", remedy="run it first")
            log.append("checked", {"step": step, "result": state.result}, {"by": by.strip()})

    def skip(self, step: str, reason: str) -> None:
        """Leave a step out, with a reason.

        Raises
        ------
        InputError
            If no reason is given.
        """
        if not reason.strip():
            raise InputError(f"to leave out {step} needs a reason")
        with self._changing() as log:
            self._known(step)
            log.append("skipped", {"step": step}, {"reason": reason.strip()})

    def run(self, *steps: str, progress: Progress | None = None) -> tuple[StepState, ...]:
        """Run steps that are not done, and what they stand on first; all that can run, if none is named.

        A step that fails stops what stands on it, and is noted; others go on.

        Parameters
        ----------
        *steps : str
            "plan", "dose-2".
        progress : callable, optional
            Told what is being done.

        Returns
        -------
        tuple of StepState
            Of the steps that were run, as they stand after it.

        Raises
        ------
        InputError
            If a named step lacks something (the message says what), or fails.
        """
        with self._changing() as log:
            return run_steps(self.folder, log, [self._known(name).name for name in steps], progress or silent)

    def _known(self, step: str) -> StepState:
        found = self.situation().steps
        if step not in found:
            raise UnknownNameError("step", step, list(found))
        return found[step]

    def _changing(self) -> AbstractContextManager[Log]:
        return changing(self.folder)


def _files_of(source: Path) -> list[Path]:
    from hepatica.core.provenance import files_below

    if source.is_dir():
        files = files_below(source)
        if not files:
            raise InputError(f"{source}: holds no file")
        return files
    if not is_file(source):
        raise InputError(f"{source}: is not there")
    return [source]


def _copied(source: Path, files: Sequence[Path], place: Path) -> list[Path]:
    """Copies of files below a new folder, which is whole or absent."""
    import shutil

    names = [file.relative_to(source) if source.is_dir() else Path(file.name) for file in files]
    with output_folder(place, force=place.exists(), listed=True) as new:
        for file, name in zip(files, names, strict=True):
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, new / name)
    return [place / name for name in names]


def _same(catalogue: Catalogue, item: Item) -> Item | None:
    return next((one for one in catalogue if one.digest == item.digest), None)
