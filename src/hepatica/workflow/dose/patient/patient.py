"""The patient of a dose: CT or what stands for it, structures on its voxels, their densities, and the lungs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hepatica.anatomy.ct.hounsfield import is_doubtful
from hepatica.anatomy.ct.lung_field import LungsInField, cut_off_message, lungs_in_field, one_sided
from hepatica.anatomy.ct.lung_mass import (
    LungMass,
    seen_mass_messages,
    stated_mass_messages,
    too_light,
    whole_lung_mass,
)
from hepatica.anatomy.ct.tissue_density import DensityOptions, DensityOrigin, TissueDensity, tissue_density
from hepatica.anatomy.ct.uniform import UNIFORM_RELATIVE_SD, outline_of, uniform_patient
from hepatica.anatomy.segmentation.quality import believed_lungs
from hepatica.anatomy.structures.clinical import ClinicalRegion, Structure, union
from hepatica.anatomy.structures.drawn import LUNGS
from hepatica.anatomy.structures.masses import mass_of
from hepatica.core import Grid, Region, Volume
from hepatica.core.image import Image
from hepatica.core.lung_mean import LungMean, widest
from hepatica.core.message import Message, unique
from hepatica.core.resample import resample_region
from hepatica.core.volume import RecomputedVolume
from hepatica.errors import GeometryError, InputError
from hepatica.imaging.quantify.lungs_in_view import (
    VOXELS_UNSUPPORTED,
    LungsInView,
    drawn_otherwise,
    share_of_lungs,
    shunt_messages,
    voxel_dose_messages,
)
from hepatica.io.calibration_files import lung_mean_of
from hepatica.nuclides import agent
from hepatica.planning.limits.dose_limits import SEEN_WHOLE, not_judged
from hepatica.planning.scout.scan import LUNG_G_ML
from hepatica.planning.scout.treated_lungs import LungOptions
from hepatica.transport.matter.media import HuCalibration, density_from_hu
from hepatica.workflow.dose.options import DoseOptions
from hepatica.workflow.dose.patient.seen import seen_field
from hepatica.workflow.dose.patient.structures import StructureSet, structures_on
from hepatica.workflow.sources import ImageSource, StructureSource, as_image


@dataclass(frozen=True, slots=True, eq=False)
class Patient:
    """CT, structures and densities, all on the CT's own voxels.

    Attributes
    ----------
    ct : Image
        In the frame of reference of the dose; of a patient without CT a uniform one.
    has_ct : bool
        Whether it is a real CT.
    drawn : StructureSet
        Structures on the CT's voxels.
    tissue : TissueDensity
        Density of every voxel, and where that of each structure comes from.
    lungs : PatientLungs or None
        None where no structure is the lungs.
    messages : tuple of Message
        What a reader must know of all this.
    lung_mean : LungMean or None
        What the activity images say of the mean of their lungs, the widest of several.
    """

    ct: Image
    has_ct: bool
    drawn: StructureSet
    tissue: TissueDensity
    lungs: PatientLungs | None
    messages: tuple[Message, ...]
    lung_mean: LungMean | None = None

    def known_of(self, name: str) -> tuple[DensityOrigin, float, LungMean | None]:
        """Where the density of a structure comes from, its uncertainty, and what the images say of the lungs' mean."""
        is_lungs = self.lungs is not None and self.lungs.item.region.name == name
        return self.density_from(name), self.density_relative_sd, self.lung_mean if is_lungs else None

    @property
    def density_relative_sd(self) -> float:
        """Relative standard uncertainty of densities beyond that of a CT."""
        return 0.0 if self.has_ct else UNIFORM_RELATIVE_SD

    def density_from(self, name: str) -> DensityOrigin:
        """Where the density of a structure comes from."""
        found = self.tissue.origin(name)
        return "uniform" if found == "ct" and not self.has_ct else found


@dataclass(frozen=True, slots=True, eq=False)
class PatientLungs:
    """The lungs on CT and activity image.

    Attributes
    ----------
    item : ClinicalRegion
        The structure.
    seen : LungsInField
        What edges or drawing cut off, in either image.
    in_view_kg : float
        Mass in the activity image, on the CT's voxels.
    mass_is_measured : bool
        Whether that is a mass of lungs: of a CT that shows lungs in HU, or by a stated density.
    in_view : LungsInView or None
        In the activity image; None where they lie outside.
    whole_mass : LungMass
        Of the whole lungs: stated, from the CT if they are whole on it, or by model.
    on_ct_kg : float or None
        Mass on the CT; None without one, or where it does not show lungs in HU.
    whole_on_ct : bool
        Whether the CT shows them whole.
    """

    item: ClinicalRegion
    seen: LungsInField
    in_view_kg: float
    mass_is_measured: bool
    in_view: LungsInView | None
    whole_mass: LungMass
    on_ct_kg: float | None = None
    whole_on_ct: bool = False


def voxels_supported(patient: Patient, item: ClinicalRegion) -> bool:
    """Whether the image determines the dose of single voxels of a structure, and not of its mean alone."""
    unsupported = any(one.code == VOXELS_UNSUPPORTED for one in patient.messages)
    return not (unsupported and item.structure in LUNGS)


def ct_or_uniform(ct: ImageSource | None, scans: Sequence[Image], options: DoseOptions) -> tuple[Image, bool]:
    """The CT, or a uniform patient on the activity's voxels where there is none.

    Raises
    ------
    InputError
        If there is no CT and no density is stated, or something is stated that has no effect.
    """
    stated = options.density
    if ct is not None:
        if stated.uniform_density_g_ml is not None or stated.outline_fraction is not None:
            raise InputError("`uniform_density_g_ml` and `outline_fraction` are of a dose without `ct`; there is one")
        return as_image(ct, role="ct", series=options.scanner.ct_series), True
    if stated.uniform_density_g_ml is None:
        raise InputError(
            "without a CT the density of the patient is not known",
            remedy="give `ct`, or state `uniform_density_g_ml`, such as 1.05 g/mL",
        )
    if options.scanner.hu_table is not None or options.scanner.ct_series is not None:
        raise InputError("`hu_table` and `ct_series` are of a CT; there is none", remedy="leave them out")
    activity = scans[0].volume
    outline = None if stated.outline_fraction is None else outline_of(activity, stated.outline_fraction)
    made = uniform_patient(activity.grid, stated.uniform_density_g_ml, outline)
    return made.used_as("ct").with_messages(_uniform_message(stated)), False


def _uniform_message(stated: DensityOptions) -> Message:
    where = "everywhere in the image"
    if stated.outline_fraction is not None:
        where = (
            f"where the smoothed activity exceeds {100 * stated.outline_fraction:g} % of its maximum, with air around"
        )
    text = (
        f"no CT: the patient is taken as uniform, {stated.uniform_density_g_ml:g} g/mL {where}; doses of soft tissue "
        f"are uncertain by {100 * UNIFORM_RELATIVE_SD:.0f} % more, and those of lung and bone are not known"
    )
    return Message("no-ct", text, "give `ct`")


def patient_of(
    ct: Image, has_ct: bool, scans: Sequence[Image], structures: StructureSource | None, options: DoseOptions
) -> Patient:
    """Structures and densities on the CT's voxels, in the frame of reference of the dose."""
    frame = ct.grid.frame_of_reference or scans[0].grid.frame_of_reference
    ct = replace(ct, volume=ct.volume.in_frame(frame))
    drawn = structures_on(ct.grid, structures, ct, options.clinical, has_ct=has_ct)
    if has_ct and (options.quantification.lung_shunt or options.quantification.lungs_in_image):
        drawn = _with_lungs_of_ct(drawn, ct.volume)
    tissue = _tissue(ct, drawn, options.density, options.scanner.calibration())
    scan = replace(scans[0], volume=scans[0].volume.in_frame(frame))
    lungs = _lungs_of(drawn, ct if has_ct else None, tissue, scan, options.lungs)
    stated = options.quantification
    notes = [] if lungs is None or lungs.seen.whole else [_cut_off(lungs)]
    in_view = None if lungs is None else lungs.in_view
    against = shunt_messages(in_view, stated.lung_shunt, stated.lungs_in_image)
    means, unread = zip(*(lung_mean_of(scan) for scan in scans), strict=True)
    told = widest(means)
    single = voxel_dose_messages(
        replace(scans[0].acquisition, lung=means[0]), None if lungs is None else lungs.item.region.name
    )
    otherwise = () if told is None else drawn_otherwise(in_view, told)
    mass = stated_mass_messages(
        options.lungs.lung_mass_kg,
        None if lungs is None else lungs.on_ct_kg,
        whole=lungs is not None and lungs.whole_on_ct,
    )
    light = () if lungs is None else seen_mass_messages(lungs.on_ct_kg, whole=lungs.whole_on_ct)
    limits = _not_judged(drawn, options)
    said = unique(tissue.messages, notes, mass, light, against, single, *unread, otherwise, limits)
    return Patient(ct, has_ct, drawn, tissue, lungs, said, told)


def _tissue(
    ct: Image, drawn: StructureSet, options: DensityOptions, calibration: HuCalibration | None
) -> TissueDensity:
    return tissue_density(
        density_from_hu(ct.volume, calibration), ct.volume, drawn.clinical, options,
        contrast_agent=ct.acquisition.contrast_agent,
    )  # fmt: skip


def let_go(patient: Patient, options: DensityOptions, calibration: HuCalibration | None) -> Patient:
    """The patient with CT and densities that are kept as long as somebody holds their values, and then made again."""
    ct, drawn = replace(patient.ct, volume=RecomputedVolume.packed(patient.ct.volume)), patient.drawn
    density = RecomputedVolume(patient.tissue.density, lambda: _tissue(ct, drawn, options, calibration).density.values)
    return replace(patient, ct=ct, tissue=replace(patient.tissue, density=density))


LUNGS_OF_CT = "lungs on the CT"
"""Name of lungs that the CT shows and nobody drew."""


def _with_lungs_of_ct(drawn: StructureSet, hu: Volume) -> StructureSet:
    """The structures with both lungs as the CT shows them, where none is drawn, or one alone.

    Whether the image holds the lung shunt is a question of what it shows, not of what was drawn.
    """
    there = {item.structure for item in drawn.clinical if item.structure in LUNGS}
    if Structure.LUNG in there or len(there) > 1:
        return drawn
    try:
        sides = believed_lungs(hu)
    except GeometryError:  # No body on the CT, so no lungs in it.
        return drawn
    # One lung drawn, and one alone on the CT: nothing that the drawing lacks.
    if len(sides) <= len(there):
        return drawn
    found = union(list(sides)).renamed(LUNGS_OF_CT)
    missing = "no lungs are drawn"
    if there:
        missing = f"the {'right' if Structure.LUNG_LEFT in there else 'left'} lung is not drawn"
    text = (
        f"{missing}, and the CT shows {found.volume_ml:.0f} mL of lung: it was found by thresholds and is taken as the "
        "lungs for the lung shunt, their mass and their dose"
    )
    note = Message("lungs-from-ct", text, "draw both lungs")
    made = ClinicalRegion(found, Structure.LUNG, derived=True)
    return replace(drawn, clinical=(*drawn.clinical, made), messages=(*drawn.messages, note))


def _not_judged(drawn: StructureSet, options: DoseOptions) -> tuple[Message, ...]:
    if options.clinical.agent is None:
        return ()
    # The shunt gives the lungs a dose whether or not they are drawn.
    known = {item.structure.value for item in drawn.clinical} | (
        {"lung"} if options.quantification.lung_shunt else set()
    )
    return not_judged(agent(options.clinical.agent), known)


def _cut_off(lungs: PatientLungs) -> Message:
    then = "their mean dose is that of the part in view, which is that of all if the rest holds as much per gram"
    if lungs.whole_mass.origin != "ct":
        then += f", and the whole lungs are taken as {lungs.whole_mass.text}"
    seen_kg = lungs.in_view_kg if lungs.mass_is_measured else None
    return cut_off_message(lungs.seen, seen_kg, then=then, mass_is_stated=lungs.whole_mass.origin == "stated")


def _lungs_of(
    drawn: StructureSet, ct: Image | None, tissue: TissueDensity, scan: Image, stated: LungOptions
) -> PatientLungs | None:
    item = lungs_among(drawn.clinical)
    if item is None:
        return None
    sides = one_sided([item.structure])
    seen_by_ct = lungs_in_field(item.region, None if ct is None else ct.volume).also(sides)
    activity, field = scan.volume, seen_field(scan)
    shown, sees = field.seen_part(item.region), field.share(item.region)
    here = resample_region(shown, activity.grid)
    on_ct_kg = item.region.mass_g(tissue.density) / 1000
    in_view_kg = mass_of(shown, tissue.density, activity.grid) / 1000
    in_view, seen = None, seen_by_ct
    settled = [name for name, origin in tissue.origins.items() if origin == "stated"]
    doubtful = ct is not None and is_doubtful((*ct.messages, *tissue.messages), settled, item.region.name)
    believed = ct is not None and not doubtful
    light = ct is not None and too_light(on_ct_kg, whole=seen_by_ct.whole)
    whole = _whole_mass(stated, on_ct_kg if believed and seen_by_ct.whole and not light else None)
    if not here.is_empty:
        seen = seen_by_ct.also(lungs_in_field(here)).also(LungsInField(image_sees=1.0 if sees >= SEEN_WHOLE else sees))
        part = min(1.0, in_view_kg / whole.mass_kg)
        share = share_of_lungs(activity, here, _liver(drawn, activity.grid))
        in_view = LungsInView(share, seen.whole, 1.0 if seen.whole else part)
    measured = (believed or tissue.origin(item.region.name) == "stated") and not light
    shown_kg = on_ct_kg if believed else None
    return PatientLungs(item, seen, in_view_kg, measured, in_view, whole, shown_kg, seen_by_ct.whole)


def whole_mass_without_lungs(stated: LungOptions) -> LungMass:
    """Mass of the whole lungs where no image shows them: stated, or by model."""
    return _whole_mass(stated, None)


def _whole_mass(stated: LungOptions, by_ct_kg: float | None) -> LungMass:
    if stated.lung_mass_kg is None and by_ct_kg is not None:
        return LungMass(by_ct_kg, None, "ct", "from the CT's voxels")
    return whole_lung_mass(stated.lung_mass_kg, stated.patient_sex, stated.patient_height_m)


def lungs_in_view(drawn: StructureSet, activity: Volume) -> LungsInView | None:
    """What an activity image shows of the lungs where there is no CT: their mass by that of inflated lung."""
    item = lungs_among(drawn.clinical)
    if item is None:
        return None
    region = item.region
    whole = lungs_in_field(region).also(one_sided([item.structure])).whole
    part = region.volume_ml * LUNG_G_ML / 1000 / whole_lung_mass().mass_kg
    share = share_of_lungs(activity, region, _liver(drawn, activity.grid))
    return LungsInView(share, whole, 1.0 if whole else min(1.0, part))


def lungs_among(clinical: Sequence[ClinicalRegion]) -> ClinicalRegion | None:
    """The lungs: the one structure that is both of them, or the sides together."""
    both = [item for item in clinical if item.structure is Structure.LUNG]
    sides = [item for item in clinical if item.structure in LUNGS]
    if both or len(sides) == 1:
        return (both or sides)[0]
    if not sides:
        return None
    whole = union([item.region for item in sides]).renamed("lungs")
    return ClinicalRegion(whole, Structure.LUNG, derived=True)


def _liver(drawn: StructureSet, grid: Grid) -> Region | None:
    livers = [item.region for item in drawn.clinical if item.structure is Structure.LIVER]
    return resample_region(livers[0], grid) if livers else None
