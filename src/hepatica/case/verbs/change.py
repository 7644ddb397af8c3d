"""What people do to a case: make it, add images, state, run, check and leave out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated

from hepatica.case.adding import Added
from hepatica.case.case import Case
from hepatica.case.running.watching import watch as watch_folder
from hepatica.case.verbs.shown import HERE, CaseResult, shown
from hepatica.core.document import HIDDEN
from hepatica.core.options import Positive, Text, verb
from hepatica.core.progress import Progress, silent
from hepatica.core.tables.table import Table
from hepatica.errors import InputError
from hepatica.workflow.result import result


@result
class NewCaseResult(CaseResult):
    """A case that was made."""

    verb = "new_case"


@verb
def new_case(case: Path) -> NewCaseResult:
    """A new case: a folder with a `case.toml` to fill in.

    Parameters
    ----------
    case : path
        Folder to make.

    Returns
    -------
    NewCaseResult
        What it needs first.

    Raises
    ------
    OutputError
        If the folder is there and not empty, or cannot be written.

    Examples
    --------
    >>> hepatica.new_case("patient-7")  # doctest: +SKIP
    """
    return NewCaseResult(**shown(Case.new(case)))


@result
class CaseAddResult(CaseResult):
    """What came into a case.

    Attributes
    ----------
    added : tuple of str
        New images by name.
    known : tuple of str
        Images that were there already.
    """

    verb = "add_to_case"

    added: tuple[str, ...]
    known: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = field(default=(), metadata=HIDDEN)

    def table(self) -> Table:
        """One row for each image of the case."""
        return self.images_table()

    def tables(self) -> tuple[Table, ...]:
        """Images, what is still missing, and files that were left out."""
        left = Table.of(("file", "why"), list(self.skipped), "Not added", "not-added")
        return (self.images_table(), CaseResult.table(self), *((left,) if self.skipped else ()))


@verb
def add_to_case(
    files: Path,
    *,
    case: Path = HERE,
    role: str | None = None,
    treatment: int | None = None,
    reference: bool = False,
) -> CaseAddResult:
    """Add a file or a folder of images to a case: a heap of DICOM is sorted by what each series is.

    Parameters
    ----------
    files : path
        One file or one folder, searched to any depth; for several say it once for each.
    case : path
        Folder of the case; the current one if not given.
    role : str or None
        What all of it is, such as scout-spect; by default each series is told by nuclide, frame of reference and date.
    treatment : int or None
        Number of the treatment that it belongs to, 0 for all; by its date if not given.
    reference : bool
        Leave the files where they are, and keep their hashes.

    Returns
    -------
    CaseAddResult
        What each is taken for, what is in doubt, what is still missing.

    Raises
    ------
    InputError
        If nothing is there, or it is of another patient.
    UnknownNameError
        If there is no such role.

    Examples
    --------
    >>> hepatica.add_to_case("export-from-pacs", case="patient-7")  # doctest: +SKIP
    """
    opened = Case.open(case)
    came: Added = opened.add(files, role, treatment=treatment, reference=reference)
    return CaseAddResult(
        **shown(opened),
        added=tuple(item.name for item in came.items),
        known=came.known,
        skipped=tuple((str(item.path), item.reason) for item in came.skipped),
    )


@result
class CaseTakeResult(CaseResult):
    """An image that is taken for what a person said."""

    verb = "take_image"

    def table(self) -> Table:
        """One row for each image of the case."""
        return self.images_table()


@verb
def take_image(item: str, role: str, *, case: Path = HERE, treatment: int | None = None) -> CaseTakeResult:
    """Say what an image of a case is: the word that corrects the sorting.

    Parameters
    ----------
    item : str
        Its name in the case: ct-1.
    role : str
        What it is: scout-ct, follow-up-ct, unused, ...
    case : path
        Folder of the case; the current one if not given.
    treatment : int or None
        Number of the treatment that it belongs to, 0 for all; as it is if not given.

    Returns
    -------
    CaseTakeResult
        Images as they are taken now.

    Raises
    ------
    UnknownNameError
        If there is no such image or role.

    Examples
    --------
    >>> hepatica.take_image("ct-2", "unused", case="patient-7")  # doctest: +SKIP
    """
    opened = Case.open(case)
    opened.take(item, role, treatment=treatment)
    return CaseTakeResult(**shown(opened))


def _stated(texts: object) -> Mapping[str, str | None]:
    """Key and value of "patient.weight=75 kg"; nothing behind the sign takes the key away."""
    found: dict[str, str | None] = {}
    for text in [texts] if isinstance(texts, str) else list(texts):  # type: ignore[call-overload]
        key, sign, value = str(text).partition("=")
        if not sign or not key.strip():
            raise InputError(f"{text!r} is no KEY=VALUE", remedy='write "patient.weight=75 kg"')
        found[key.strip()] = value.strip() or None
    return found


Statements = Annotated[Mapping[str, str | None], Text(_stated, "KEY=VALUE", whole=True)]


@result
class CaseSetResult(CaseResult):
    """A case in which something was stated."""

    verb = "set_in_case"


@verb
def set_in_case(values: Statements, *, case: Path = HERE) -> CaseSetResult:
    """State or correct facts of a case, and see what is out of date by it.

    Parameters
    ----------
    values : mapping of str to str
        Keys of case.toml with their values: patient.weight=75 kg, treatment.agent=glass; nothing takes a key away.
    case : path
        Folder of the case; the current one if not given.

    Returns
    -------
    CaseSetResult
        Steps as they stand now.

    Raises
    ------
    InputError
        If a key is unknown (the message names the near ones); the file is then as it was.

    Examples
    --------
    >>> hepatica.set_in_case({"patient.weight": "75 kg"}, case="patient-7")  # doctest: +SKIP
    """
    opened = Case.open(case)
    opened.set(**dict(values))
    return CaseSetResult(**shown(opened))


@result
class CaseRunResult(CaseResult):
    """A case after a run.

    Attributes
    ----------
    ran : tuple of str
        Steps that were run, in order.
    """

    verb = "run_case"

    ran: tuple[str, ...]

    @property
    def is_usable(self) -> bool:
        """Whether every step that was run ended well."""
        return all(step.state == "done" for step in self.steps if step.name in self.ran)

    def sentences(self) -> tuple[str, ...]:
        """What was run."""
        return (f"Run: {', '.join(self.ran)}." if self.ran else "Nothing was out of date.",)


@verb
def run_case(
    steps: tuple[str, ...] = (),
    *,
    case: Path = HERE,
    watch: Path | None = None,
    idle_s: Positive | None = None,
    progress: Progress | None = None,
) -> CaseRunResult:
    """Run the steps of a case that are not done or out of date, and nothing else.

    Parameters
    ----------
    steps : sequence of str
        Steps to run, with what they stand on: plan, dose, ...; all that can run if none is named.
    case : path
        Folder of the case; the current one if not given.
    watch : path or None
        Folder in which files arrive: they are added as they come, and what is due then is run, until it is stopped.
    idle_s : float or None
        Stop watching after so long without a new file.
    progress : callable, optional
        Told what is being done.

    Returns
    -------
    CaseRunResult
        What was run, and how the case stands.

    Raises
    ------
    InputError
        If a named step lacks something, or fails; if the folder to watch is not there.

    Examples
    --------
    >>> hepatica.run_case(["plan"], case="patient-7")  # doctest: +SKIP
    """
    opened = Case.open(case)
    if watch is None:
        if idle_s is not None:
            raise InputError("`idle_s` is for watching", remedy="state `watch`")
        ran = tuple(step.name for step in opened.run(*steps, progress=progress))
    else:
        ran = watch_folder(opened, Path(watch), tuple(steps), say=progress or silent, idle_s=idle_s)
    return CaseRunResult(**shown(opened), ran=ran)


@result
class CaseCheckResult(CaseResult):
    """A case in which a step was checked."""

    verb = "check_step"


@verb
def check_step(step: str, *, by: str, case: Path = HERE) -> CaseCheckResult:
    """Note who checked the result of a step; the check falls when the result changes.

    Parameters
    ----------
    step : str
        The step: plan, dose-2.
    by : str
        Who checked it. A claim: there is no log-in.
    case : path
        Folder of the case; the current one if not given.

    Returns
    -------
    CaseCheckResult
        Steps with who checked them.

    Raises
    ------
    InputError
        If the step is not done.

    Examples
    --------
    >>> hepatica.check_step("plan", by="A. Physicist", case="patient-7")  # doctest: +SKIP
    """
    opened = Case.open(case)
    opened.check(step, by)
    return CaseCheckResult(**shown(opened))


@result
class CaseSkipResult(CaseResult):
    """A case in which a step is left out."""

    verb = "skip_step"


@verb
def skip_step(step: str, *, reason: str, case: Path = HERE) -> CaseSkipResult:
    """Leave a step of a case out, with a reason.

    Parameters
    ----------
    step : str
        The step: lung-shunt.
    reason : str
        Why: no 99mTc-MAA was given.
    case : path
        Folder of the case; the current one if not given.

    Returns
    -------
    CaseSkipResult
        Steps as they stand now.

    Raises
    ------
    InputError
        If no reason is given.

    Examples
    --------
    >>> hepatica.skip_step("lung-shunt", reason="166Ho scout", case="patient-7")  # doctest: +SKIP
    """
    opened = Case.open(case)
    opened.skip(step, reason)
    return CaseSkipResult(**shown(opened))
