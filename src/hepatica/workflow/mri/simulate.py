"""Multi-echo MR of a known distribution of holmium microspheres, before and after treatment."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from hepatica.anatomy.structures.clinical import Structure, StructureOptions
from hepatica.core import Grid, Kind, Provenance, Region, Volume
from hepatica.core.context import DicomContext, new_uid
from hepatica.core.document import HIDDEN, document
from hepatica.core.image import Stated
from hepatica.core.message import unique
from hepatica.core.options import parameters, verb
from hepatica.core.progress import Progress, silent
from hepatica.core.resample import resample, resample_region
from hepatica.core.tables.table import Table
from hepatica.errors import InputError
from hepatica.imaging.mri.echoes import MultiEcho
from hepatica.imaging.mri.options import MrSimulationOptions
from hepatica.imaging.mri.relaxivity import static_dephasing
from hepatica.imaging.mri.simulate import Tissue, TissueSettings, acquire, tissue_of
from hepatica.imaging.mri.usable_range import UsableRange, usable_range
from hepatica.imaging.spect.scan_facts import ScannedActivityOptions, in_frame_of, scanned_activity
from hepatica.io.files import write_text
from hepatica.nuclides import agent, nuclide
from hepatica.workflow.dose.patient.structures import structures_on
from hepatica.workflow.result import Result, result
from hepatica.workflow.sources import ImageSource, StructureSource, as_image

AGENT = "ho166-plla"

EARLIER = timedelta(days=2)
"""The scan before treatment lies so long before the one after, which is the day after treatment."""


@dataclass(frozen=True, slots=True)
class TrueStructure:
    """What a structure really holds.

    Attributes
    ----------
    name : str
        Of the structure.
    volume_ml : float
        On the MR's voxels.
    mass_mg : float
        Of microspheres.
    concentration_mg_ml : float
        Mean.
    """

    name: str
    volume_ml: float
    mass_mg: float
    concentration_mg_ml: float


@result
class MrSimulationResult(Result):
    """Two simulated scans and the truth.

    Attributes
    ----------
    before, after : MultiEcho
        Without and with microspheres; what `holmium_mri` takes.
    concentration : Volume
        True mg/mL on the voxels of the scan after.
    specific_activity_mbq_mg : float
        At `calibrated_at`: total of the activity image over the mass.
    noise_sd : float
        Standard deviation of the noise, in the scans' unit.
    usable : UsableRange
        Concentrations that the protocol can measure in the liver.
    """

    verb = "simulate_mri"

    before: MultiEcho = field(metadata=HIDDEN)
    after: MultiEcho = field(metadata=HIDDEN)
    concentration: Volume = field(metadata=HIDDEN)
    context: DicomContext | None = field(metadata=HIDDEN)
    field_strength_t: float
    echo_times_ms: tuple[float, ...]
    signal_to_noise: float
    noise_sd: float
    relaxivity_ml_per_mg_s: float
    administered_mg: float
    specific_activity_mbq_mg: float
    calibrated_at: datetime
    moved_mm: tuple[float, float, float]
    usable: UsableRange
    structures: tuple[TrueStructure, ...]

    def title(self) -> str:
        """The protocol."""
        times = f"{self.echo_times_ms[0]:g} to {self.echo_times_ms[-1]:.3g} ms"
        return (
            f"{self.administered_mg:g} mg of holmium microspheres at {self.field_strength_t:g} T, "
            f"{len(self.echo_times_ms)} echoes at {times}, signal {self.signal_to_noise:g} times the noise"
        )

    def table(self) -> Table:
        """What each structure holds."""
        rows = [(s.name, s.volume_ml, s.mass_mg, s.concentration_mg_ml) for s in self.structures]
        return Table.of(("structure", "mL", "mg", "mean, mg/mL"), rows, "The truth", "structures")

    def sentences(self) -> tuple[str, ...]:
        """The range of the protocol."""
        own = "" if self.usable.own_mg_ml is None else f"{self.usable.own_mg_ml:.3g} mg/mL by three echoes, "
        return (f"Usable up to {own}{self.usable.neighbours_mg_ml:.3g} mg/mL by the S0 of neighbours.",)

    def write(self, folder: Path) -> None:
        """Write ``before/`` and ``after/`` (DICOM MR, magnitude and phase) and ``truth.nii.gz`` in mg/mL."""
        from hepatica.io.dicom.mr.write import write_multi_echo
        from hepatica.io.itk import write_itk

        context = self.context or DicomContext.of_volume(self.concentration, "SIMULATED")
        write_multi_echo(folder / "after", self.after, context, description="Multi-echo GRE after")
        frame = self.before.grid.frame_of_reference or context.frame_of_reference
        write_multi_echo(
            folder / "before", self.before, replace(context, frame_of_reference=frame),
            description="Multi-echo GRE before",
        )  # fmt: skip
        write_itk(self.concentration, folder / "truth.nii.gz")
        write_text(folder / "truth.json", json.dumps(document(self), indent=1) + "\n")


@verb
def simulate_mri(
    activity: ImageSource,
    *,
    ct: ImageSource,
    structures: StructureSource,
    options: MrSimulationOptions = MrSimulationOptions(),
    stated: ScannedActivityOptions = ScannedActivityOptions(),
    progress: Progress | None = None,
) -> MrSimulationResult:
    """The multi-echo MR of a known distribution of 166Ho microspheres, before and after treatment.

    Parameters
    ----------
    activity : path or Image
        Activity image in Bq/mL, whose distribution the microspheres have: DICOM, NIfTI, MetaImage.
    ct : path or Image
        CT for tissue, air and its field, in the same frame of reference.
    structures : path or regions
        Liver and tumours: RTSTRUCT, SEG or label map.
    options : MrSimulationOptions
        The scan and the tissue.
    stated : ScannedActivityOptions
        What the activity image does not say.
    progress : callable, optional
        Told each step.

    Returns
    -------
    MrSimulationResult
        Scans before and after, and the truth; ``save`` writes them as DICOM.

    Raises
    ------
    HepaticaError
        InputError if there is no liver among the structures or the image holds no activity; GeometryError if frames of
        reference differ; UnitError or TimeError if the image is no activity at an instant.

    Examples
    --------
    >>> found = hepatica.simulate_mri("emission", ct="ct", structures="rtstruct.dcm")  # doctest: +SKIP
    >>> found.structures[0].mass_mg  # doctest: +SKIP
    571.3
    """
    report_progress = progress or silent
    report_progress("reading")
    known = Stated(unit=stated.activity_unit, time=stated.activity_at)
    hu = as_image(ct, role="ct", series=stated.ct_series)
    image = as_image(activity, role="activity", series=stated.series, stated=known)
    image = in_frame_of(hu, image, registered=stated.registered)
    source = scanned_activity(image, nuclide("Ho-166"), stated.total_bq)
    assert source.time is not None
    drawn = structures_on(hu.grid, structures, hu, StructureOptions())
    livers = [item.region for item in drawn.clinical if item.structure is Structure.LIVER]
    tumours = [item.region for item in drawn.clinical if item.structure is Structure.TUMOUR]
    if not livers:
        raise InputError("there is no liver among the structures", remedy="draw one, or state what is by its role")
    grid = hu.grid.with_spacing(options.mr_spacing_mm)
    shifted = _moved(grid, options.moved_mm)
    settings = TissueSettings(
        options.liver_r2star, options.tumour_r2star, options.liver_fat, options.field_strength, options.even_field,
        options.seed,
    )  # fmt: skip
    report_progress("tissue and field")
    tissue = _tissue(hu.volume, livers[0], tumours, grid, settings)
    earlier = tissue if shifted is grid else _tissue(hu.volume, livers[0], tumours, shifted, settings)
    concentration = _concentration(source, grid, options.administered_mg)
    density = agent(AGENT).fact("density_g_ml").value
    assert isinstance(density, float)
    r2 = static_dephasing(options.field_strength, holmium_share=options.holmium_share, density_g_ml=density)
    noise = 1.0 / options.signal_to_noise
    report_progress("echoes")
    times = options.echo_times_s
    after = acquire(tissue, concentration.values * np.float32(r2), times, field_t=options.field_strength, noise=noise,
                    seed=options.seed, name="after")  # fmt: skip
    plain = acquire(earlier, np.zeros(grid.shape, np.float32), times, field_t=options.field_strength, noise=noise,
                    seed=options.seed + 1_000_003, name="before")  # fmt: skip
    frame = grid.frame_of_reference if shifted is grid else new_uid()
    before = replace(plain, grid=grid.with_frame_of_reference(frame), time=source.time - EARLIER)
    return MrSimulationResult(
        before=before,
        after=replace(after, time=source.time),
        concentration=concentration,
        context=hu.context,
        field_strength_t=options.field_strength,
        echo_times_ms=tuple(round(1000 * t, 6) for t in times),
        signal_to_noise=options.signal_to_noise,
        noise_sd=noise,
        relaxivity_ml_per_mg_s=r2,
        administered_mg=options.administered_mg,
        specific_activity_mbq_mg=source.total / 1e6 / options.administered_mg,
        calibrated_at=source.time,
        moved_mm=options.moved_mm,
        usable=usable_range(times, options.signal_to_noise, r2, options.field_strength, options.liver_r2star),
        structures=tuple(_truth(resample_region(item.region, grid), concentration) for item in drawn.clinical),
        messages=unique(image.messages, hu.messages, drawn.messages),
        provenance=Provenance(
            inputs=(image.source, hu.source, *((drawn.source,) if drawn.source else ())),
            parameters=parameters(options, stated),
            conventions={"concentration": "mg of microspheres (not of holmium) per mL"},
            steps=("activity scaled to the mass", f"{options.echoes} gradient echoes with noise, before and after"),
        ),
    )


def _moved(grid: Grid, moved_mm: tuple[float, float, float]) -> Grid:
    """Voxels of the patient that a scan sees where the patient lies elsewhere."""
    if not any(moved_mm):
        return grid
    affine = np.array(grid.affine)
    affine[:3, 3] -= moved_mm
    return Grid(grid.shape, affine, grid.frame_of_reference)


def _tissue(hu: Volume, liver: Region, tumours: list[Region], grid: Grid, settings: TissueSettings) -> Tissue:
    values = resample(hu, grid, "mean", outside=-1000.0).values
    covered = [resample_region(region, grid).full() for region in (liver, *tumours)]
    tumour = np.clip(sum(covered[1:], np.zeros(grid.shape, np.float32)), 0, 1).astype(np.float32)
    return tissue_of(values, np.maximum(covered[0], tumour), tumour, grid, settings)


def _concentration(source: Volume, grid: Grid, mass_mg: float) -> Volume:
    """Mg of microspheres per mL: the activity's share of the mass."""
    shared = resample(source, grid, "total").values.astype(np.float64)
    values = shared * (mass_mg / source.total) / grid.voxel_volume_ml
    return Volume(grid, values.astype(np.float32), Kind.UNKNOWN, None, "concentration, mg/mL")


def _truth(region: Region, concentration: Volume) -> TrueStructure:
    mean = region.mean(concentration)
    return TrueStructure(region.name, region.volume_ml, mean * region.volume_ml, mean)
