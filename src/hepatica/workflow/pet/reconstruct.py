"""The PET of a patient from raw data and CT."""

from __future__ import annotations

import hashlib
from dataclasses import field, replace
from datetime import datetime
from pathlib import Path

from hepatica.anatomy.structures.clinical import StructureOptions
from hepatica.core import Estimate, Grid, Provenance, Volume
from hepatica.core.certainty import ImageCertainty
from hepatica.core.context import DicomContext
from hepatica.core.document import HIDDEN, reported
from hepatica.core.image import Acquisition, Image
from hepatica.core.message import Message, unique
from hepatica.core.options import parameters, verb
from hepatica.core.progress import Progress, silent
from hepatica.core.provenance import InputFile
from hepatica.core.tables.table import Cell, Table
from hepatica.errors import InputError
from hepatica.imaging.pet.acquisition.certainty import RegionActivity
from hepatica.imaging.pet.acquisition.couch import about_couch
from hepatica.imaging.pet.acquisition.image import BedFacts, WholePet, reconstruct_beds
from hepatica.imaging.pet.acquisition.net_counts import NetCounts, about_counts
from hepatica.imaging.pet.acquisition.options import PetOptions
from hepatica.imaging.pet.acquisition.raw import PetRawData
from hepatica.imaging.pet.acquisition.said import about_beds, about_beyond, about_scale, about_seen, about_uncertainty
from hepatica.imaging.pet.becquerels.cross_calibration import Part
from hepatica.imaging.pet.becquerels.plausible import total_implausible
from hepatica.imaging.pet.becquerels.positrons import y90_positrons
from hepatica.imaging.pet.followed import positrons_per_decay
from hepatica.imaging.pet.list_mode import BELOW_ZERO
from hepatica.imaging.pet.scanner import Scanner
from hepatica.io.pet_raw.scanner_file import scanner_of
from hepatica.io.pet_raw.sinogram_files import Beside
from hepatica.nuclides import Nuclide
from hepatica.nuclides.positron_emitters import pet_nuclide
from hepatica.workflow.dose.patient.structures import StructureSet, structures_on
from hepatica.workflow.pet.clock import clock_of
from hepatica.workflow.pet.liver_beyond import LiverBeyond
from hepatica.workflow.pet.reading import RawSource, read_pet
from hepatica.workflow.pet.simulate import PHYSICS_TABLES
from hepatica.workflow.result import Result, result
from hepatica.workflow.sources import ImageSource, StructureSource, dicom_context

LONG_STRING = 64
"""Characters of DICOM's ReconstructionMethod (VR LO)."""


@result
class PetResult(Result):
    """A reconstructed PET.

    Attributes
    ----------
    image : Image
        Bq/mL at the start of the scan: what other verbs take.
    found : WholePet
        Image with its sensitivity.
    raw : PetRawData
        What it was made of.
    structures : tuple of RegionActivity
        Activity of each structure given, how sure it is, and what would be detected there.
    activity_mbq : Estimate
        In the whole image; its uncertainty is that of counting, scatter and scale, None where a part is not known.
    activity_counting_sd_mbq, activity_scatter_sd_mbq : float or None
        Standard uncertainty from counting alone, and from the scatter that is taken off.
    net_counts : NetCounts
        What the list counted beside randoms and scatter, and the activity that this predicts.
    scale_factor : float
        By which the reconstruction's becquerels were multiplied.
    scale_parts : tuple of Part
        Of the uncertainty common to all voxels, each relative.
    beds : tuple of BedFacts
        What each bed held.
    corrected : tuple of str
        What was corrected for, as DICOM's CorrectedImage has it.
    """

    verb = "reconstruct_pet"

    image: Image = field(metadata=HIDDEN)
    found: WholePet = field(metadata=HIDDEN)
    raw: PetRawData = field(metadata=HIDDEN)
    options: PetOptions = field(metadata=HIDDEN)
    context: DicomContext = field(metadata=HIDDEN)
    nuclide: str
    unit: str
    time: datetime
    activity_mbq: Estimate
    activity_counting_sd_mbq: float | None
    activity_scatter_sd_mbq: float | None
    net_counts: NetCounts
    scale_factor: float
    scale_parts: tuple[Part, ...]
    scanner: str
    prompts: int
    randoms: float
    scattered: float
    corrected: tuple[str, ...]
    grid: Grid
    beds: tuple[BedFacts, ...]
    structures: tuple[RegionActivity, ...] = ()

    @property
    def volume(self) -> Volume:
        """Voxels of the image."""
        return self.image.volume

    @property
    @reported
    def seen_z_mm(self) -> tuple[float, float] | None:
        """LPS z between which planes are seen well, mm; what lies beyond an end is held for not seen."""
        return self.found.seen_z_mm

    @property
    @reported
    def below_zero(self) -> bool:
        """Whether the method lets voxels go below zero: their noise is then kept in a dose."""
        return self.image.acquisition.below_zero

    @property
    @reported
    def image_certainty(self) -> ImageCertainty:
        """What is known of its becquerels, which goes with the image into a dose."""
        return self.found.certainty

    def title(self) -> str:
        """Nuclide, scanner and instant."""
        return f"PET of {self.nuclide} in {self.unit} at {self.time.isoformat(sep=' ')}, {self.scanner}"

    def table(self) -> Table:
        """What the image holds and what it was made of."""
        true = self.prompts - self.randoms - self.scattered
        counted = self.net_counts
        rows: list[tuple[str, Cell]] = [
            ("activity in the image, MBq", self.activity_mbq),
            ("its standard uncertainty from counting, MBq", self.activity_counting_sd_mbq),
            ("the same from the scatter taken off, MBq", self.activity_scatter_sd_mbq),
            (
                "activity that the list's net counts predict, MBq",
                Estimate(counted.predicted_mbq, counted.predicted_sd_mbq),
            ),
            (
                "image less prediction, from counting, MBq",
                Estimate(counted.image_mbq - counted.predicted_mbq, counted.difference_sd_mbq),
            ),
            *((f"relative standard uncertainty, {part.name}, %", _percent(part)) for part in self.scale_parts),
            ("net coincidences of the list", Estimate(counted.net, counted.net_sd)),
            ("coincidences that the image stands for", counted.of_image),
            ("prompt coincidences", self.prompts),
            ("expected random, %", 100 * self.randoms / self.prompts),
            ("expected scattered, %", 100 * self.scattered / self.prompts),
            ("expected scattered of all but random, %", _share(self.scattered, self.scattered + true)),
            ("method", self.options.iteration.method),
            ("iterations x subsets", ", ".join(dict.fromkeys(f"{b.iterations} x {b.subsets}" for b in self.beds))),
            ("voxel, mm", " x ".join(f"{s:g}" for s in self.grid.spacing_mm)),
        ]
        return Table.of(("what", "value"), rows, "PET", "pet")

    def tables(self) -> tuple[Table, ...]:
        """What the image holds; of several beds, each; of structures, what they hold."""
        found = [self.table()]
        if self.structures:
            found.append(_structures_table(self.structures))
        if len(self.beds) > 1:
            rows = [(f"{b.bed_mm:.1f}", b.start_s, b.prompts, b.randoms, b.scatter) for b in self.beds]
            names = ("bed at LPS z, mm", "start, s", "prompts", "expected random", "expected scattered")
            found.append(Table.of(names, rows, "Beds", "beds"))
        return tuple(found)

    def write(self, folder: Path) -> None:
        """Write ``pet/`` (DICOM PET series in Bq/mL), ``pet.nii.gz`` and ``pet.png``.

        With samples also ``pet_sd.nii.gz``.
        """
        from hepatica.io.dicom.images.write import Emission, write_pet
        from hepatica.io.itk import write_itk
        from hepatica.report.figures.outcome import save
        from hepatica.report.figures.pet import draw_reconstructed_pet

        emission = Emission(
            nuclide=pet_nuclide(self.nuclide), start=self.time, frame_duration_s=self.beds[0].duration_s,
            agent=self.nuclide, corrected=self.corrected, methods=_methods(self.options, self.beds),
            seen_z_mm=self.found.seen_z_mm, certainty=self.found.certainty,
        )  # fmt: skip
        made = "Reconstructed by hepatica" + (" from a simulation." if self.raw.simulated else ".")
        write_pet(
            folder / "pet", self.volume, self.context, emission, description="PET reconstruction", comment=made,
            provenance=self.provenance,
        )  # fmt: skip
        write_itk(self.volume, folder / "pet.nii.gz")
        if self.found.voxel_sd is not None:
            write_itk(self.volume.with_values(self.found.voxel_sd, name="PET sd"), folder / "pet_sd.nii.gz")
        save(draw_reconstructed_pet(self.volume, self.found.sensitivity), folder / "pet.png")


def _percent(part: Part) -> float | None:
    return None if part.relative_sd is None else 100 * part.relative_sd


def _structures_table(structures: tuple[RegionActivity, ...]) -> Table:
    names = (
        "structure", "mL", "seen, %", "MBq", "mean, Bq/mL", "uncertainty from counting, MBq", "from scatter, MBq",
        "decision threshold, MBq", "detection limit, MBq",
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = [
        (
            s.name, s.volume_ml, 100 * s.seen_share, s.activity_mbq, s.concentration_mean_bq_ml, s.counting_sd_mbq,
            s.scatter_sd_mbq, s.decision_threshold_mbq, s.detection_limit_mbq,
        )
        for s in structures
    ]  # fmt: skip
    return Table.of(names, rows, "Structures", "structures")


def _share(part: float, whole: float) -> float | None:
    return 100 * part / whole if whole > 0 else None


@verb
def reconstruct_pet(
    raw: RawSource,
    *,
    ct: ImageSource,
    nuclide: str | Nuclide | None = None,
    scanner: str | Scanner | None = None,
    randoms: Path | str | None = None,
    structures: StructureSource | None = None,
    options: PetOptions = PetOptions(),
    progress: Progress | None = None,
) -> PetResult:
    """A PET in Bq/mL from the coincidences of a scanner and the CT.

    Parameters
    ----------
    raw : Path or PetRawData
        Raw data: coincidences.npz of hepatica, a PETSIRD file, or an Interfile sinogram of prompts.
    ct : Path or Image
        CT of the same patient, for attenuation and scatter.
    nuclide : str, Nuclide or None
        Radionuclide, where the raw data do not name it.
    scanner : str, Scanner or None
        Scanner by name or TOML file, for what a PETSIRD file or sinogram does not say of its own.
    randoms : Path or None
        Interfile sinogram of delayed coincidences or of expected randoms, beside a sinogram of prompts; of prompts.hs
        it is randoms.hs beside it if none is given.
    structures : path, sequence of Region, or None
        RTSTRUCT, SEG or label map, whose activity is reported with its uncertainty.
    options : PetOptions
        Method, iterations, corrections, calibration and voxels.
    progress : callable, optional
        Told each step.

    Returns
    -------
    PetResult
        ``image`` goes into other verbs; ``save`` writes DICOM and NIfTI.

    Raises
    ------
    PhysicsError
        If the nuclide emits no positrons.
    InputError
        If raw data cannot be read, are of another patient or nuclide, or hold too few coincidences.
    GeometryError
        If the CT does not cover what the scanner saw, or frames of reference differ and are not stated to be
        registered.

    Examples
    --------
    >>> from hepatica import PetCorrectionOptions, PetImageOptions, PetIterationOptions
    >>> from hepatica import PetPhantomOptions, PetScanOptions
    >>> asked = hepatica.PetSimulationOptions(
    ...     scan=PetScanOptions(bed_duration_s=2.0, matter_mm=10.0),
    ...     phantom=PetPhantomOptions(phantom="cylinder", phantom_voxel_mm=10.0),
    ...     stated=hepatica.ScannedActivityOptions(total_bq=1e9),
    ... )
    >>> scan = hepatica.simulate_pet(nuclide="Y-90", scanner="biograph_mct", options=asked)
    >>> coarse = PetImageOptions(voxel_mm=(10, 10, 10), matter_mm=10.0)
    >>> few = PetCorrectionOptions(scatter_positrons=100_000)
    >>> once = PetIterationOptions(iterations=1, subsets=2)
    >>> options = hepatica.PetOptions(image=coarse, iteration=once, corrections=few)
    >>> pet = hepatica.reconstruct_pet(scan.raw, ct=scan.ct_image, options=options)
    >>> pet.unit, pet.time == scan.start
    ('Bq/mL', True)
    """
    report_progress = progress or silent
    report_progress("reading")
    machine = None if scanner is None else scanner_of(scanner)
    image_options = options.image
    beside = Beside(None if randoms is None else Path(randoms), image_options.bed_mm, image_options.axis_mm)
    given = read_pet(
        raw, ct, scanner=machine, series=image_options.ct_series, registered=image_options.registered, beside=beside
    )
    data = given.raw
    chosen = _nuclide_of(data, nuclide)
    positrons_per_decay(chosen)
    frame = given.hu.grid.frame_of_reference or data.frame_of_reference
    hu = replace(given.hu.volume, grid=given.hu.grid.with_frame_of_reference(frame))
    ct_image = replace(given.hu, volume=hu)
    clock = clock_of(data.start, dicom_context(ct_image), options.image.time_zone, data.source.path)
    data, context = replace(data, start=clock.start), clock.context
    drawn = None if structures is None else structures_on(hu.grid, structures, ct_image, StructureOptions())
    regions = () if drawn is None else tuple(item.region for item in drawn.clinical)
    liver = LiverBeyond(hu, () if drawn is None else drawn.clinical, report_progress)
    found = reconstruct_beds(data, hu, chosen, options, report_progress, regions, liver)
    volume, image = found.activity, _image(found, data, chosen, context, options)
    sources = (data.source, given.hu.source, *_source_of(drawn))
    return PetResult(
        image=image,
        found=found,
        raw=data,
        options=options,
        context=context,
        nuclide=chosen.name,
        unit=volume.kind.unit,
        time=data.start,
        activity_mbq=found.total_bq / 1e6,
        activity_counting_sd_mbq=None if found.counting_sd_bq is None else found.counting_sd_bq / 1e6,
        activity_scatter_sd_mbq=None if found.scatter_sd_bq is None else found.scatter_sd_bq / 1e6,
        net_counts=found.net_counts,
        scale_factor=found.scale.factor,
        scale_parts=found.scale.parts,
        scanner=data.scanner.name,
        prompts=sum(bed.prompts for bed in found.beds),
        randoms=sum(bed.randoms for bed in found.beds),
        scattered=sum(bed.scatter for bed in found.beds),
        corrected=_corrected(options),
        grid=volume.grid,
        beds=found.beds,
        structures=found.contents,
        messages=unique(
            given.messages,
            clock.messages,
            () if data.simulated or options.corrections.skip_attenuation else about_couch(hu),
            () if drawn is None else drawn.messages,
            _messages(options, data),
            about_beds(options.iteration, found.beds),
            about_beyond(found.beds, found.unknown_beyond),
            liver.messages(used=any(bed.beyond_in_organ for bed in found.beds)),
            about_seen(found.contents),
            about_uncertainty(options),
            total_implausible(found.total_bq.value, image.acquisition, chosen),
            about_counts(found.net_counts, [bed.prompts - bed.randoms for bed in found.beds]),
            about_scale(found.scale, simulated=data.simulated),
        ),
        provenance=Provenance(
            inputs=sources,
            parameters=parameters(
                options, nuclide=chosen.name, scanner=data.scanner.name, positrons_per_decay=chosen.positron_yield
            ),
            tables={"scanner": "; ".join(data.scanner.sources) or data.scanner.name, **PHYSICS_TABLES},
            conventions={"positrons per decay": _positrons(chosen, options)},
            steps=_steps(options, data, found),
        ),
    )


def _source_of(drawn: StructureSet | None) -> tuple[InputFile, ...]:
    return () if drawn is None or drawn.source is None else (drawn.source,)


def _positrons(chosen: Nuclide, options: PetOptions) -> str:
    if options.uncertainty.positrons is None:
        return f"{chosen.name}: {chosen.positron_yield:.4g}, ENSDF"
    measured = y90_positrons(options.uncertainty.positrons)
    return f"{chosen.name}: {measured.value.value:.4g}, {measured.source}"


def _nuclide_of(data: PetRawData, stated: str | Nuclide | None) -> Nuclide:
    if stated is None:
        if not data.nuclide:
            raise InputError(f"{data.source.path}: names no nuclide", remedy="state `nuclide`")
        return pet_nuclide(data.nuclide)
    chosen = pet_nuclide(stated)
    if data.nuclide not in ("", chosen.name):
        raise InputError(f"{data.source.path}: is of {data.nuclide}, asked for is {chosen.name}")
    return chosen


def _corrected(options: PetOptions) -> tuple[str, ...]:
    """CorrectedImage (PS3.3 C.8.9.1): decay and sensitivity always, dead time where the data say what is left."""
    said = options.corrections
    more = {"ATTN": said.skip_attenuation, "SCAT": said.skip_scatter, "RAN": said.skip_randoms}
    return ("DECY", *(word for word, skipped in more.items() if not skipped), "NORM", "DTIM")


def _methods(options: PetOptions, beds: tuple[BedFacts, ...]) -> dict[str, str]:
    said, steps = options.corrections, options.iteration
    done = ", ".join(dict.fromkeys(f"{bed.iterations}i{bed.subsets}s" for bed in beds))
    spread = f"PSF {steps.point_spread_mm:g} mm, " if steps.point_spread_mm else ""
    how = "plain" if said.skip_time_of_flight else "TOF"
    how += ", air too" if said.activity_anywhere else ""
    found = {"ReconstructionMethod": f"list-mode {steps.method.upper()} {how}, {spread}{done}"[:LONG_STRING]}
    if not said.skip_attenuation:
        found["AttenuationCorrectionMethod"] = "CT, at 511 keV"
    if not said.skip_scatter:
        found["ScatterCorrectionMethod"] = "Monte Carlo of the image, absolute"
    if steps.filter_mm:
        found["ConvolutionKernel"] = f"Gaussian {steps.filter_mm:g} mm"
    return found


def _steps(options: PetOptions, data: PetRawData, found: WholePet) -> tuple[str, ...]:
    said = options.corrections
    corrections = [
        *([] if said.skip_attenuation else ["attenuation from the CT"]),
        *([] if said.skip_scatter else ["scatter by Monte Carlo"]),
        *([] if said.skip_randoms else ["randoms from singles"]),
        "dead time",
        "decay within the frames and between the beds",
    ]
    where = "in the box around the body" if said.activity_anywhere else "in the body alone"
    beds = "one bed" if len(data.beds) == 1 else f"{len(data.beds)} beds, their mean weighted by sensitivity"
    scaled = () if found.scale.factor == 1 else (f"multiplied by {found.scale.factor:.5g} for the cross-calibration",)
    how = f"list-mode reconstruction by {options.iteration.method}, activity sought {where}, {beds}"
    return (f"corrected for {', '.join(corrections)}", how, *scaled)


def _messages(options: PetOptions, data: PetRawData) -> tuple[Message, ...]:
    said = options.corrections
    left = [
        name
        for name, skipped in (
            ("attenuation", said.skip_attenuation), ("scatter", said.skip_scatter), ("randoms", said.skip_randoms)
        )
        if skipped
    ]  # fmt: skip
    found = []
    if left:
        text = f"not corrected for {', '.join(left)}: the becquerels are wrong on purpose"
        found.append(Message("not-corrected", text, severity="critical"))
    if said.activity_anywhere:
        text = (
            "activity was sought outside the body too, in the box around the body that the image shows, not in all "
            f"of the field of {data.scanner.field_mm:g} mm: noise in the air adds to the total, which is no longer "
            "that of the patient"
        )
        remedy = "leave `activity_anywhere` out for becquerels; it stands in result.json and ReconstructionMethod"
        found.append(Message("activity-sought-in-box", text, remedy))
    if not data.simulated and options.uncertainty.calibration_factor == 1:
        found.append(
            Message(
                "sensitivity-modelled",
                f"the becquerels rest on the modelled sensitivity of {data.scanner.name}, not on a measured one",
                "state `calibration_factor` from a scan of a known activity",
            )
        )
    return tuple(found)


def _image(found: WholePet, data: PetRawData, chosen: Nuclide, context: DicomContext, options: PetOptions) -> Image:
    facts = Acquisition(
        modality="PT",
        description="PET reconstruction",
        scanner=data.scanner.name,
        unit_in_file="BQML",
        nuclide=chosen.name,
        half_life_s=chosen.half_life_s,
        positron_fraction=chosen.positron_yield,
        decay_correction="START",
        time_rule="start of the scan, to which the reconstruction refers",
        start=data.start,
        frame_duration_s=data.beds[0].duration_s,
        below_zero=options.iteration.method in BELOW_ZERO,
        seen_z_mm=found.seen_z_mm,
        certainty=found.certainty,
    )
    digest = hashlib.sha256(found.activity.values.tobytes()).hexdigest()
    return Image(found.activity, context, facts, InputFile("activity", "reconstructed PET", digest, files=0))
