"""The case of one patient: a folder that holds facts, images, steps and the log, and what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hepatica.case.adding import Added, Wish, add_files, require_same_patient, sort_again
from hepatica.case.catalogue import Catalogue, Item
from hepatica.case.changing import changing
from hepatica.case.facts import TEMPLATE, Facts, with_value
from hepatica.case.layout import FACTS, IMAGES, LOG, STEPS
from hepatica.case.log import History, Log
from hepatica.case.possible import require_possible
from hepatica.case.protect.anonymise import Copied, anonymise
from hepatica.case.protect.personal import Personal
from hepatica.case.running.run import run_steps, situation_of
from hepatica.case.state import Situation, StepState
from hepatica.case.steps.course import STEPS as STEP_NAMES
from hepatica.core.progress import Progress, silent
from hepatica.core.tables.table import Table
from hepatica.core.text.files import toml_text
from hepatica.errors import InputError, UnknownNameError
from hepatica.io.files import atomic_output, output_folder
from hepatica.io.input_files import is_file
from hepatica.io.secret_key import read_secret
from hepatica.version import __version__

if TYPE_CHECKING:
    from hepatica.case.report.result import CaseReportResult


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
        InputError
            If the result is not what the step wrote, or the step is out of date, was skipped or failed since.
        """
        situation = self.situation()
        if step not in situation.records:
            raise UnknownNameError("result", step, list(situation.records))
        state = situation.steps[step]
        if state.state != "done":
            raise InputError(f"{step} is {state.state}: {'; '.join(state.reasons)}", remedy=f"run {step}")
        return self.folder / STEPS / step

    def table(self) -> Table:
        """One row for each step."""
        rows = [(s.name, s.title, s.state, "; ".join(s.reasons), s.checked_by) for s in self.steps()]
        return Table.of(("step", "what it is", "state", "why", "checked by"), rows, "Steps", "steps")

    def __str__(self) -> str:
        return f"Case {self.folder}\n\n{self.table()}"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def add(
        self,
        path: Path | str,
        role: str | None = None,
        *,
        treatment: int | None = None,
        reference: bool = False,
        leave_foreign: bool = False,
    ) -> Added:
        """Add files: a heap of DICOM is sorted by what each series is.

        Parameters
        ----------
        path : Path
            File or folder.
        role : str or None
            What all of it is, one of `ROLES`; None to sort it.
        treatment : int or None
            The treatment that it belongs to, 0 for all; None to tell by its date.
        reference : bool
            Leave the files where they are, and keep their hashes.
        leave_foreign : bool
            Leave out files of another patient, and say so, instead of refusing all.

        Returns
        -------
        Added
            What came in, what was there already, and what is nothing for a case.

        Raises
        ------
        InputError
            If nothing is there, or it is of another patient.
        UnknownNameError
            If there is no such role.
        """
        with self._changing() as log:
            return add_files(self.folder, log, Path(path), Wish(role, treatment, reference, leave_foreign))

    def take(self, item: str, role: str, *, treatment: int | None = None) -> Item:
        """Say what an item is: the word that corrects the sorting.

        Raises
        ------
        UnknownNameError
            If there is no such item or role.
        """
        with self._changing() as log:
            catalogue = Catalogue.read(self.folder).retaken(item, role, treatment)
            catalogue.write(self.folder)
            log.append("taken", {"item": item, "role": role, "treatment": catalogue[item].treatment})
            return catalogue[item]

    def set(self, **values: str | None) -> None:
        """State values by dotted keys: ``case.set(**{"patient.weight": "75 kg"})``; None takes a key away.

        Raises
        ------
        InputError
            If a key or value is none that the case can hold; the file is then as it was.
        """
        self.state(values)

    def state(self, values: Mapping[str, str | None], *, reason: str = "") -> None:
        """State values by dotted keys as `set` does, with a reason that the log keeps.

        Raises
        ------
        InputError
            As `set`.
        """
        path = self.folder / FACTS
        with self._changing() as log:
            text = path.read_text(encoding="utf-8")
            for key, value in values.items():
                text = with_value(text, key, value, path)
            facts = Facts.of(path, toml_text(text, path), STEP_NAMES)
            require_possible(facts)
            require_same_patient(facts, Catalogue.read(self.folder))
            with atomic_output(path) as new:
                new.write_text(text, encoding="utf-8")
            kept = dict(values) | ({"reason": reason} if reason else {})
            log.append("facts", {"keys": sorted(values), "digest": log.personal.digest(text.encode())}, kept)
            sort_again(self.folder, log)

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
            if edited := self.situation().edits(step, thorough=True):
                raise InputError(f"{step}: {'; '.join(edited)}", remedy="run it again")
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

    def anonymise(self, copy: Path | str, *, progress: Progress | None = None) -> Copied:
        """Make a copy without the person; this case is only read.

        Raises
        ------
        InputError
            If identity was taken out of only some of the images before.
        OutputError
            If the folder is there, or something of the person was left in the copy: then it is removed.
        """
        return anonymise(self.situation(), Path(copy), read_secret(), progress or silent)

    def report(self) -> CaseReportResult:
        """The report of the course: ``case.report().save("report")`` writes HTML, PDF and DICOM.

        Returns
        -------
        CaseReportResult
            Numbers of the first page; see `hepatica.case_report`.
        """
        from hepatica.case.report.result import report_of

        return report_of(self.situation())

    def _known(self, step: str) -> StepState:
        found = self.situation().steps
        if step not in found:
            raise UnknownNameError("step", step, list(found))
        return found[step]

    def _changing(self) -> AbstractContextManager[Log]:
        return changing(self.folder)
