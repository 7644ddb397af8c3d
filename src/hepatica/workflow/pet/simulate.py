"""The coincidences that a PET scanner would count of a known activity."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from hepatica.core import InputFile, Provenance, Volume
from hepatica.core.context import DicomContext, new_uid
from hepatica.core.document import HIDDEN
from hepatica.core.image import Image, Stated
from hepatica.core.message import Message, unique
from hepatica.core.options import parameters, verb
from hepatica.core.progress import Progress, silent
from hepatica.core.tables.table import Table
from hepatica.errors import InputError
from hepatica.imaging.pet.acquisition.acquire import Singles, acquire, displacements_mm
from hepatica.imaging.pet.acquisition.options import PHANTOM_AT, PetSimulationOptions
from hepatica.imaging.pet.acquisition.phantoms import filled_phantom
from hepatica.imaging.pet.acquisition.raw import KINDS, Bed, PetRawData
from hepatica.imaging.pet.followed import positrons_per_decay
from hepatica.imaging.pet.scanner import Scanner
from hepatica.imaging.pet.sinogram import SinogramLayout, sinogram_layout
from hepatica.imaging.spect.scan_facts import concentration_on, in_frame_of, scanned_activity
from hepatica.io.pet_raw.petsird_files import load_petsird, require_utc
from hepatica.io.pet_raw.scanner_file import scanner_of
from hepatica.nuclides import Nuclide
from hepatica.nuclides.positron_emitters import pet_nuclide
from hepatica.workflow.result import Result, result
from hepatica.workflow.sources import ImageSource, as_image

PHYSICS_TABLES = {
    "photons": "transport/tables/photon_elements.txt and form_factors.txt (EPDL97-based, see sources.toml)",
    "decay": "ENSDF",
}


@dataclass(frozen=True, slots=True)
class SimulatedBed:
    """What one bed counted.

    Attributes
    ----------
    bed_mm : float
        LPS z of the scanner's middle.
    start_s : float
        After the start of the scan.
    prompts, trues, scattered, randoms : int
        Coincidences, and what they were.
    singles_cps : Singles
        Of all crystals, by where they come from.
    live_share : float
        Share that dead time left.
    """

    bed_mm: float
    start_s: float
    prompts: int
    trues: int
    scattered: int
    randoms: int
    singles_cps: Singles
    live_share: float


@result
class PetSimulationResult(Result):
    """A simulated PET scan.

    Attributes
    ----------
    raw : PetRawData
        Lists of coincidences: what `reconstruct_pet` takes.
    truth : Volume
        Bq/mL at the start of the scan, on the voxels of the CT.
    ct : Volume
        In HU, as scanned.
    activity_mbq : float
        At the start.
    displacements_mm : tuple of float
        Of the activity towards the head in each phase of breathing.
    """

    verb = "simulate_pet"

    raw: PetRawData = field(metadata=HIDDEN)
    truth: Volume = field(metadata=HIDDEN)
    ct: Volume = field(metadata=HIDDEN)
    context: DicomContext | None = field(metadata=HIDDEN)
    petsird: bool = field(metadata=HIDDEN)
    sinogram: SinogramLayout | None = field(metadata=HIDDEN)
    nuclide: str
    activity_mbq: float
    start: datetime
    scanner: str
    phantom: str | None
    bed_duration_s: float
    displacements_mm: tuple[float, ...]
    seed: int
    beds: tuple[SimulatedBed, ...]

    @property
    def ct_image(self) -> Image:
        """The CT, as `reconstruct_pet` takes it."""
        made = Image.from_array(self.ct.values, unit="HU", grid=self.ct.grid, name="CT")
        return replace(made, context=self.context)

    def title(self) -> str:
        """What was simulated."""
        what = f" in the phantom {self.phantom}" if self.phantom else ""
        return (
            f"{self.activity_mbq:.4g} MBq {self.nuclide}{what}, {self.scanner}, "
            f"{len(self.beds)} x {self.bed_duration_s:g} s"
        )

    def table(self) -> Table:
        """Coincidences of each bed."""
        rows = [
            (
                f"{bed.bed_mm:.1f}",
                bed.prompts,
                bed.trues,
                bed.scattered,
                bed.randoms,
                _percent(bed.randoms, bed.prompts),
            )
            for bed in self.beds
        ]
        names = ("bed at LPS z, mm", "prompts", "true", "scattered", "random", "random, %")
        return Table.of(names, rows, "Coincidences", "coincidences")

    def tables(self) -> tuple[Table, ...]:
        """Coincidences, and where the singles come from."""
        rows = [
            (
                f"{bed.bed_mm:.1f}", bed.singles_cps.annihilation_cps / 1000, bed.singles_cps.bremsstrahlung_cps / 1000,
                bed.singles_cps.lutetium_cps / 1000, 100 * (1 - bed.live_share),
            )
            for bed in self.beds
        ]  # fmt: skip
        names = (
            "bed at LPS z, mm",
            "annihilation, kcps",
            "bremsstrahlung, kcps",
            "176Lu, kcps",
            "lost to dead time, %",
        )
        return self.table(), Table.of(names, rows, "Singles of all crystals", "singles")

    def write(self, folder: Path) -> None:
        """Write ``coincidences.npz``, ``truth.nii.gz``, ``simulation.png``; of a phantom also ``ct/`` (DICOM).

        Where they are asked for, ``coincidences.petsird`` and ``sinogram/`` (of several beds ``sinogram-1/``, ...) too.
        """
        from hepatica.io.dicom.images.write import write_ct
        from hepatica.io.itk import write_itk
        from hepatica.io.pet_raw.own_format import FILE_NAME, write_raw
        from hepatica.report.figures.outcome import save
        from hepatica.report.figures.pet import draw_simulated_pet

        write_raw(folder / FILE_NAME, self.raw)
        write_itk(self.truth, folder / "truth.nii.gz")
        if self.petsird:
            from hepatica.io.pet_raw.petsird_files import FILE_NAME as PETSIRD_NAME
            from hepatica.io.pet_raw.petsird_files import write_petsird

            write_petsird(folder / PETSIRD_NAME, self.raw)
        if self.sinogram is not None:
            from hepatica.io.interfile.sinogram_write import write_sinograms

            for number, bed in enumerate(self.raw.beds, start=1):
                name = "sinogram" if len(self.raw.beds) == 1 else f"sinogram-{number}"
                write_sinograms(folder / name, self.raw, bed, self.sinogram)
        if self.phantom:
            context = self.context or DicomContext.of_volume(self.ct, "SIMULATED")
            write_ct(folder / "ct", self.ct, context, description=f"CT of the phantom {self.phantom}")
        save(draw_simulated_pet(self.truth, self.ct, self.raw), folder / "simulation.png")


def _percent(part: float, whole: float) -> float | None:
    return 100 * part / whole if whole else None


@verb
def simulate_pet(
    activity: ImageSource | None = None,
    *,
    ct: ImageSource | None = None,
    nuclide: str | Nuclide,
    scanner: str | Scanner,
    options: PetSimulationOptions = PetSimulationOptions(),
    progress: Progress | None = None,
) -> PetSimulationResult:
    """The coincidences that a PET scanner would count of a known activity.

    Parameters
    ----------
    activity : Path, Image or None
        Activity image in Bq/mL: DICOM, NIfTI, MetaImage. None for a phantom.
    ct : Path, Image or None
        CT for attenuation and scatter, in the same frame of reference. None for a phantom.
    nuclide : str or Nuclide
        What is in the patient; it must emit positrons.
    scanner : str or Scanner
        Scanner by name (biograph_mct, discovery_690, ...), or a TOML file that describes one.
    options : PetSimulationOptions
        The scan, the phantom, and what the activity image does not say.
    progress : callable, optional
        Told each step.

    Returns
    -------
    PetSimulationResult
        ``raw`` goes into `reconstruct_pet`; ``save`` writes it with the truth.

    Raises
    ------
    PhysicsError
        If the nuclide emits no positrons.
    UnknownNameError
        If the scanner is not known; the message lists those that are.
    InputError
        If neither an activity with a CT nor a phantom is given, or both are; or the image holds no activity.
    GeometryError
        If activity lies outside the CT, or frames of reference differ and are not stated to be registered.
    TimeError
        If the image refers to no instant.

    Examples
    --------
    >>> from hepatica import PetPhantomOptions, PetScanOptions, ScannedActivityOptions
    >>> asked = hepatica.PetSimulationOptions(
    ...     scan=PetScanOptions(bed_duration_s=2.0, matter_mm=10.0),
    ...     phantom=PetPhantomOptions(phantom="cylinder", phantom_voxel_mm=10.0),
    ...     stated=ScannedActivityOptions(total_bq=1e9),
    ... )
    >>> found = hepatica.simulate_pet(nuclide="Y-90", scanner="biograph_mct", options=asked)
    >>> round(found.activity_mbq, 3), found.beds[0].prompts > 1000
    (1000.0, True)
    """
    report_progress = progress or silent
    chosen, machine = pet_nuclide(nuclide), scanner_of(scanner)
    positrons_per_decay(chosen)
    if options.scan.petsird:
        load_petsird()
    scan = options.scan
    layout = None if scan.sinogram_span is None else sinogram_layout(
        machine, span=scan.sinogram_span, mashing=scan.sinogram_mashing, timings_mashed=scan.sinogram_timings
    )  # fmt: skip
    report_progress("reading")
    given = _phantom(options) if options.phantom.phantom else _patient(activity, ct, chosen, options)
    if options.phantom.phantom and (activity is not None or ct is not None):
        raise InputError("an activity or a CT and a `phantom` were given", remedy="leave one of them out")
    if options.scan.petsird and given.activity.time is not None:
        require_utc(given.activity.time)
    raw, singles = acquire(
        given.activity, given.hu, scanner=machine, nuclide=chosen, scan=options.scan, progress=report_progress
    )
    patient_id = "" if given.context is None else given.context.patient_id
    raw = replace(raw, patient_id=patient_id)
    beds = tuple(_simulated(bed, counted) for bed, counted in zip(raw.beds, singles, strict=True))
    messages = (*given.messages, *_messages(machine))
    return PetSimulationResult(
        raw=raw,
        truth=replace(concentration_on(given.hu.grid, given.activity), name="truth"),
        ct=given.hu,
        context=given.context,
        petsird=options.scan.petsird,
        sinogram=layout,
        nuclide=chosen.name,
        activity_mbq=given.activity.total / 1e6,
        start=raw.start,
        scanner=machine.name,
        phantom=options.phantom.phantom,
        bed_duration_s=options.scan.bed_duration_s,
        displacements_mm=displacements_mm(options.scan),
        seed=options.scan.seed,
        beds=beds,
        messages=unique(messages),
        provenance=Provenance(
            inputs=given.inputs,
            parameters=parameters(options, nuclide=chosen.name, activity_mbq=given.activity.total / 1e6),
            tables={"scanner": "; ".join(machine.sources) or machine.name, **PHYSICS_TABLES},
            steps=(
                "positrons and their photons followed through the patient into the crystals",
                "randoms drawn from all singles: annihilation, bremsstrahlung, 176Lu",
            ),
        ),
    )


def _simulated(bed: Bed, singles: Singles) -> SimulatedBed:
    trues, scattered, randoms = (bed.frame.number(kind) or 0 for kind in KINDS.values())
    prompts = len(bed.frame.prompts)
    return SimulatedBed(bed.bed_mm, bed.start_s, prompts, trues, scattered, randoms, singles, bed.live_fraction)


@dataclass(frozen=True, slots=True, eq=False)
class _Given:
    activity: Volume
    hu: Volume
    context: DicomContext | None
    inputs: tuple[InputFile, ...]
    messages: tuple[Message, ...]


def _patient(
    activity: ImageSource | None, ct: ImageSource | None, chosen: Nuclide, options: PetSimulationOptions
) -> _Given:
    if activity is None or ct is None:
        raise InputError(
            "a scan needs an activity image and a CT, or a phantom", remedy="give both, or state `phantom`"
        )
    stated = options.stated
    known = Stated(unit=stated.activity_unit, time=stated.activity_at)
    hu = as_image(ct, role="ct", series=stated.ct_series)
    image = as_image(activity, role="activity", series=stated.series, stated=known)
    image = in_frame_of(hu, image, registered=stated.registered)
    source = scanned_activity(image, chosen, stated.total_bq)
    return _Given(source, hu.volume, hu.context, (image.source, hu.source), unique(image.messages, hu.messages))


def _phantom(options: PetSimulationOptions) -> _Given:
    total = options.stated.total_bq
    if total is None:
        raise InputError("a phantom holds what is stated", remedy="state `total_bq`")
    own = PHANTOM_AT.replace(tzinfo=UTC) if options.scan.petsird else PHANTOM_AT
    drawn, activity = filled_phantom(
        options.phantom, total_bq=total, time=options.stated.activity_at or own, frame_of_reference=new_uid()
    )
    return _Given(activity, replace(drawn.hu, time=activity.time), None, (), ())


def _messages(scanner: Scanner) -> tuple[Message, ...]:
    if scanner.dead_time_ns:
        return ()
    return (
        Message(
            "dead-time-unknown", f"the dead time of {scanner.name} is not known: nothing is lost to it", severity="note"
        ),
    )
