"""A scout scan with its structures on its own voxels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from hepatica.anatomy.ct.hounsfield import is_doubtful
from hepatica.anatomy.ct.lung_field import LungsInField, cut_off_message, lungs_in_field, one_sided
from hepatica.anatomy.ct.lung_mass import LungMass, stated_mass_messages, whole_lung_mass
from hepatica.anatomy.ct.tissue_density import STRUCTURE_DENSITY_TEXT, DensityOptions, tissue_density
from hepatica.anatomy.structures.clinical import (
    STRUCTURE_ROLES_TEXT,
    ClinicalRegion,
    Structure,
    require_roles,
    union,
)
from hepatica.anatomy.structures.drawn import LUNGS, DrawnStructures
from hepatica.anatomy.structures.masses import mass_of
from hepatica.core import Grid, InputFile, Region, Volume
from hepatica.core.image import Image
from hepatica.core.message import Message, unique
from hepatica.core.options import NonNegative, options
from hepatica.core.resample import resample, resample_region
from hepatica.core.tables.sources import ImageSource, TransformSource
from hepatica.core.transform.options import Model, TransformOptions
from hepatica.errors import GeometryError, InputError
from hepatica.planning.scout.lung_shunt import LungMasses, LungShunt, SpectShuntOptions
from hepatica.planning.scout.uptake import LiverOnCt
from hepatica.transport.matter.media import density_from_hu

NOTHING_CUT = LungsInField()

LUNG_G_ML = 0.26
"""Inflated adult lung of ICRU Report 46 (1992): the mass of lungs in view where there is no CT."""


@options
class ScoutOptions:
    """The CT, and what images and structures do not say themselves.

    Attributes
    ----------
    ct : path, Image or None
        CT of the scan, for masses.
    activity_unit : str or None
        What a voxel of a NIfTI or MetaImage holds: counts, Bq/mL.
    structure_roles : mapping of str to str
        What a structure is, where its name does not say: liver, tumour, lung, perfused.
    structure_density : mapping of str to float or None
        Density of a structure in g/mL in place of the CT's: 'Liver=1.06 g/mL'.
    contrast_enhanced : {"auto", "yes", "no"}
        Whether the CT is contrast-enhanced: recognised by its header and by the organs drawn, or as stated. Soft tissue
        of drawn organs then has its reference density.
    registered : bool
        Images of different frames of reference lie together.
    transform : Path, Transform, a sequence of them, or None
        Brings the scout to the CT's frame of reference: DICOM registration, ITK transform (.tfm) or displacement field,
        from the CT to the scout. Several follow one another.
    transform_uncertainty_mm : float or None
        Standard uncertainty (k = 1) of a point that it maps, along each axis; that of the file or of the registration
        where it states one.
    register : {"rigid", "affine", "deformable"} or None
        Find the transform by registration, by this model, where none is at hand.
    moving_ct : path, Image or None
        CT that was acquired with the scout, in its frame of reference, where `ct` is another: it drives the
        registration, uptake never does.
    within : sequence of str
        Structures in which the registration counts, by name or role; the liver where one is drawn, if none are named.
    series : str or None
        SeriesInstanceUID of the scout, if a folder holds several.
    ct_series : str or None
        SeriesInstanceUID of the CT, if a folder holds several.
    """

    ct: ImageSource | None = None
    activity_unit: str | None = None
    structure_roles: Annotated[Mapping[str, str] | None, STRUCTURE_ROLES_TEXT] = None
    structure_density: Annotated[Mapping[str, float] | None, STRUCTURE_DENSITY_TEXT] = None
    contrast_enhanced: Literal["auto", "yes", "no"] = "auto"
    registered: bool = False
    transform: TransformSource | tuple[TransformSource, ...] | None = None
    transform_uncertainty_mm: NonNegative | None = None
    register: Model | None = None
    moving_ct: ImageSource | None = None
    within: tuple[str, ...] = ()
    series: str | None = None
    ct_series: str | None = None

    def __post_init__(self) -> None:
        require_roles(self.structure_roles)
        if self.registration.moves and self.ct is None:
            name = "transform" if self.register is None else "register"
            raise InputError(f"`{name}` brings the scout to the CT: there is none", remedy="give `ct`")
        if self.ct is None and (self.structure_density is not None or self.contrast_enhanced != "auto"):
            raise InputError(
                "`structure_density` and `contrast_enhanced` are of the CT: there is none", remedy="give `ct`"
            )

    @property
    def registration(self) -> TransformOptions:
        """How the scout comes to the CT; InputError where what is said of that contradicts itself."""
        return TransformOptions(
            transform=self.transform,
            transform_uncertainty_mm=self.transform_uncertainty_mm,
            register=self.register,
            moving_ct=self.moving_ct,
            within=self.within,
        )

    @property
    def density(self) -> DensityOptions:
        """Densities that the CT number does not give."""
        return DensityOptions(structure_density=self.structure_density, contrast_enhanced=self.contrast_enhanced)


@dataclass(frozen=True, slots=True, eq=False)
class Scout:
    """A scout scan with its structures on its own voxels.

    Attributes
    ----------
    image : Volume
        Counts, rate, Bq or Bq/mL.
    liver, lungs : Region or None
        Tumours belong to the liver; left and right lung are one.
    tumours, territories : mapping of str to Region
        By name.
    others : mapping of str to Region
        Structures that are none of these.
    density : Volume or None
        g/mL on the scout's grid, from the CT.
    ct_lung_mass_kg : float or None
        Of the lungs that the CT shows, on its own voxels, by its density.
    lung_in_view_kg : float or None
        Of that, what the scout shows, less what the liver claims; without a CT by volume, at 0.26 g/mL.
    lungs_seen : LungsInField
        What the edges of scout and CT, or the drawing, cut off of the lungs.
    ct_shows_lungs_whole : bool
        Whether the CT at least shows them whole.
    on_ct : LiverOnCt or None
        Liver, tumours and territories on the CT's own voxels, for masses; None without a CT.
    ct : Volume or None
        The CT, for pictures.
    messages : tuple of Message
        From reading.
    inputs : tuple of InputFile
        The files, with hashes.
    steps : tuple of str
        What brought the scout to the CT, for the provenance.
    position_sd_mm : float or None
        Standard uncertainty of where a transform puts the scout on the CT, along each axis; 0 where nothing moved it,
        None where it is not known.
    """

    image: Volume
    liver: Region | None
    lungs: Region | None
    tumours: Mapping[str, Region]
    territories: Mapping[str, Region]
    others: Mapping[str, Region] = field(default_factory=dict)
    density: Volume | None = None
    ct_lung_mass_kg: float | None = None
    lung_in_view_kg: float | None = None
    lungs_seen: LungsInField = NOTHING_CUT
    ct_shows_lungs_whole: bool = False
    on_ct: LiverOnCt | None = None
    ct: Volume | None = None
    messages: tuple[Message, ...] = ()
    inputs: tuple[InputFile, ...] = ()
    steps: tuple[str, ...] = ()
    position_sd_mm: float | None = 0.0

    def lung_masses(self, options: SpectShuntOptions) -> LungMasses:
        """Mass of the lungs in view, and of the whole lungs where they are cut off: by the CT, else by the model."""
        if self.lungs_seen.whole or self.lung_in_view_kg is None:
            seen_kg = self.lung_in_view_kg if self.ct is not None else None
            return LungMasses(seen_kg, nothing_cut=seen_kg is not None and self.lungs_seen.whole)
        if self.ct_shows_lungs_whole and self.ct_lung_mass_kg is not None:
            return LungMasses(self.lung_in_view_kg, LungMass(self.ct_lung_mass_kg, None, "ct", "from the CT's voxels"))
        model = whole_lung_mass(options.lung_mass_kg, options.patient_sex, options.patient_height_m)
        return LungMasses(self.lung_in_view_kg, model)

    def lung_mass(self, options: SpectShuntOptions) -> LungMass:
        """Mass for the lung dose that goes with the shunt: of the whole lungs, or of those seen if so asked."""
        masses = self.lung_masses(options)
        if options.lung_mass_kg is None and self.ct_lung_mass_kg is not None:
            if masses.whole is None:
                return LungMass(self.ct_lung_mass_kg, None, "ct", "from the CT's voxels")
            if options.cut_lungs == "as-seen" and masses.in_view_kg is not None:
                return LungMass(masses.in_view_kg, None, "ct", "the part in view, from the CT's voxels")
            if masses.in_view_kg is not None and masses.whole.mass_kg < masses.in_view_kg:
                return LungMass(masses.in_view_kg, None, "ct", "the part in view: heavier than the model")
        return masses.whole or whole_lung_mass(options.lung_mass_kg, options.patient_sex, options.patient_height_m)

    def about_lungs(self, options: SpectShuntOptions, shunt: LungShunt) -> tuple[Message, ...]:
        """What is said of lungs that are cut off: how it was recognised, the mass seen, what the shunt became."""
        stated = options.lung_mass_kg is not None
        about = stated_mass_messages(options.lung_mass_kg, self.ct_lung_mass_kg, whole=self.ct_shows_lungs_whole)
        if self.lungs_seen.whole:
            return about
        seen = shunt.details["fraction_as_drawn"]
        text = f"the shunt of the part in view is {100 * seen:.3g} %"
        if self.ct is None:
            text += f", their mass by {LUNG_G_ML:g} g/mL without a CT"
        mass = self.lung_mass(options)
        if options.cut_lungs == "as-seen" and options.lung_mass_kg is None:
            text += ", a lower bound"
        else:
            text += f"; completed to {mass.text} at the same uptake per gram it is {100 * shunt.lung_shunt.value:.3g} %"
        return (cut_off_message(self.lungs_seen, self.lung_in_view_kg, then=text, mass_is_stated=stated), *about)

    def need(self, *names: str) -> tuple[Region, ...]:
        """The regions called "liver" or "lungs", or InputError that says which is missing."""
        known = {"liver": self.liver, "lungs": self.lungs}
        found = []
        for name in names:
            region = known[name]
            if region is None:
                raise InputError(f"no structure is the {name}", remedy=f"state `structure_roles`: 'NAME={name}'")
            found.append(region)
        return tuple(found)


def scout_scan(
    image: Image,
    ct: Image | None,
    drawn: DrawnStructures,
    *,
    registered: bool = False,
    density: DensityOptions | None = None,
) -> Scout:
    """A scout from its image (in the frame of the CT), CT and structures."""
    if registered:
        drawn = replace(drawn, regions={n: _moved(region, image.grid) for n, region in drawn.regions.items()})
    found = _scout_of(image, drawn)
    inputs = (image.source, *((ct.source,) if ct else ()), *drawn.inputs)
    if ct is None:
        return replace(found, inputs=inputs)
    on_ct = {name: resample_region(region, ct.grid) for name, region in drawn.regions.items()}
    clinical = [ClinicalRegion(region, drawn.roles[name]) for name, region in on_ct.items() if not region.is_empty]
    tissue = tissue_density(
        density_from_hu(ct.volume), ct.volume, clinical, density or DensityOptions(),
        contrast_agent=ct.acquisition.contrast_agent,
    )  # fmt: skip
    found = replace(
        found,
        # Air surrounds the CT.
        density=resample(tissue.density, image.grid, "mean", outside=0.0),
        on_ct=_liver_on_ct(clinical, tissue.density, image.grid),
        ct=ct.volume,
        inputs=inputs,
        messages=unique(
            found.messages, (one for one in ct.messages if one.severity == "critical"), tissue.messages
        ),
    )  # fmt: skip
    lungs = [item.region for item in clinical if item.structure in LUNGS]
    names = [item.region.name for item in clinical if item.structure in LUNGS]
    stated = [name for name, origin in tissue.origins.items() if origin == "stated"]
    if not lungs or any(is_doubtful(found.messages, stated, name) for name in names):
        return found
    return _with_lungs(found, union(lungs), ct.volume, tissue.density, clinical)


def _liver_on_ct(clinical: Sequence[ClinicalRegion], density: Volume, within: Grid) -> LiverOnCt | None:
    def named(role: Structure) -> dict[str, Region]:
        return {item.region.name: item.region for item in clinical if item.structure is role}

    livers, tumours = named(Structure.LIVER), named(Structure.TUMOUR)
    if len(livers) != 1:
        return None
    liver = union([*livers.values(), *tumours.values()])
    return LiverOnCt(liver, tumours, named(Structure.PERFUSED), density, within)


def _with_lungs(found: Scout, lungs: Region, hu: Volume, density: Volume, clinical: Sequence[ClinicalRegion]) -> Scout:
    """What the CT says of the lungs: their mass, what the scout shows of it, and what is cut off."""
    sides = one_sided(item.structure for item in clinical if item.structure in LUNGS)
    by_ct = lungs_in_field(lungs, hu).also(sides)
    of_liver = [item.region for item in clinical if item.structure in (Structure.LIVER, Structure.TUMOUR)]
    own = lungs - union(of_liver) if of_liver else lungs
    return replace(
        found,
        ct_lung_mass_kg=mass_of(lungs, density) / 1000,
        lung_in_view_kg=mass_of(own, density, found.image.grid) / 1000,
        lungs_seen=found.lungs_seen.also(by_ct),
        ct_shows_lungs_whole=by_ct.whole,
    )


def _scout_of(image: Image, drawn: DrawnStructures) -> Scout:
    moved = {name: resample_region(region, image.grid) for name, region in drawn.regions.items()}
    here = replace(drawn, regions={name: region for name, region in moved.items() if not region.is_empty})

    def named(*roles: Structure) -> dict[str, Region]:
        return {region.name: region for region in here.of(*roles)}

    liver, lungs, tumours = here.liver(), here.of(*LUNGS), named(Structure.TUMOUR)
    if liver is not None and tumours:
        liver = (liver | union(list(tumours.values()))).renamed("liver")
    known = {Structure.LIVER, Structure.TUMOUR, Structure.PERFUSED, *LUNGS}
    return Scout(
        image=image.volume,
        liver=liver,
        lungs=union(lungs).renamed("lungs") if lungs else None,
        lungs_seen=lungs_in_field(union(lungs)).also(_sides(here)) if lungs else LungsInField(),
        lung_in_view_kg=union(lungs).volume_ml * LUNG_G_ML / 1000 if lungs else None,
        tumours=tumours,
        territories=named(Structure.PERFUSED),
        others={name: region for name, region in moved.items() if drawn.roles[name] not in known},
        messages=(*image.messages, *drawn.messages),
    )


def _sides(drawn: DrawnStructures) -> LungsInField:
    return one_sided(drawn.roles[name] for name in drawn.regions if drawn.roles[name] in LUNGS)


def together_with(image: Image, ct: Image, *, registered: bool) -> Image:
    """The scan in the frame of reference of its CT.

    Raises
    ------
    InputError
        If they are of two patients.
    GeometryError
        If frames of reference differ and they are not registered.
    """
    if image.context is not None and ct.context is not None and image.context.patient_id != ct.context.patient_id:
        raise InputError(
            f"the scout is of patient {image.context.patient_id!r}, the CT of {ct.context.patient_id!r}: "
            "they must be of one patient"
        )
    if not registered and not image.grid.shares_frame(ct.grid):
        raise GeometryError(
            "scout and CT have different frames of reference",
            remedy="register them and give the `transform`, or state `registered` if they lie together",
        )
    frame = ct.grid.frame_of_reference or image.grid.frame_of_reference
    return replace(image, volume=replace(image.volume, grid=image.grid.with_frame_of_reference(frame)))


def _moved(region: Region, grid: Grid) -> Region:
    """A region in the frame of reference of a grid, where it lies by the user's word."""
    own = region.grid.with_frame_of_reference(grid.frame_of_reference)
    return replace(region, grid=own)
