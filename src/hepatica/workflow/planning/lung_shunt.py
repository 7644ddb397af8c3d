"""Lung shunt from SPECT/CT, from planar views, or from their counts, and the lung dose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path

from hepatica.anatomy.ct.lung_mass import LungMass, whole_lung_mass
from hepatica.anatomy.structures.kinds import ORGANS
from hepatica.anatomy.structures.roles import structure_of
from hepatica.core import Provenance, Region, Volume
from hepatica.core.document import HIDDEN, INLINE, reported
from hepatica.core.message import unique
from hepatica.core.options import parameters, unit_of, verb
from hepatica.core.options.stated import require_unstated, stated_names
from hepatica.core.progress import Progress, silent
from hepatica.core.tables.table import Table
from hepatica.errors import InputError
from hepatica.io.structures.regions import sources_of
from hepatica.planning.extrahepatic.described import test_note, uptake_table
from hepatica.planning.extrahepatic.uptake import (
    ExtrahepaticSearch,
    ExtrahepaticTest,
    ExtrahepaticUptake,
    OrganUptake,
    about_share_elsewhere,
    extrahepatic_search,
    share_elsewhere,
)
from hepatica.planning.scout.lung_shunt import LungShunt, SpectShuntOptions, spect_lung_shunt
from hepatica.planning.scout.lungs import LungDose, LungDoseOptions, lung_dose
from hepatica.planning.scout.scan import ScoutOptions
from hepatica.report.document import Document, Paragraph, Picture, Section, TableBlock
from hepatica.report.figures.places import places_picture
from hepatica.report.files import document_files
from hepatica.workflow.planar.reading import PlanarInput
from hepatica.workflow.planning.planar import PlanarViewOptions, measured_shunt, shunt_of_counts
from hepatica.workflow.planning.scout import read_scout
from hepatica.workflow.result import Result, result
from hepatica.workflow.sources import ImageSource, StructureSource


@result
class LungShuntResult(Result):
    """The lung shunt, the lungs' mass, uptake elsewhere, and the lung dose if an activity was asked about."""

    verb = "lung_shunt"

    shunt: LungShunt = field(metadata=INLINE)
    lung_mass_kg: float | None = None
    lungs_whole: bool | None = None
    whole_lung_mass: LungMass | None = None
    share_elsewhere: float | None = None
    lung_dose: LungDose | None = None
    search: ExtrahepaticSearch | None = field(default=None, metadata=HIDDEN)
    image: Volume | None = field(default=None, metadata=HIDDEN)
    outlines: Mapping[str, Region] = field(default_factory=dict, metadata=HIDDEN)

    @property
    @reported
    def extrahepatic(self) -> tuple[ExtrahepaticUptake, ...]:
        """Places outside liver and lungs that noise does not explain."""
        return () if self.search is None else self.search.places

    @property
    @reported
    def organs_elsewhere(self) -> tuple[OrganUptake, ...]:
        """What organs drawn outside liver and lungs hold."""
        return () if self.search is None else self.search.organs

    @property
    @reported
    def extrahepatic_test(self) -> ExtrahepaticTest | None:
        """The test for such places; None where none was made, as on planar views."""
        return None if self.search is None else self.search.test

    def title(self) -> str:
        """Shunt with its interval."""
        shunt = self.shunt.lung_shunt
        spread = "" if shunt.sd is None else f" ± {100 * shunt.sd:.2f} %"
        interval = self.shunt.interval_95
        between = "" if interval is None else f", 95 % {100 * interval.low:.2f} to {100 * interval.high:.2f} %"
        return f"Lung shunt ({self.shunt.method}) {100 * shunt.value:.2f} %{spread}{between}"

    def table(self) -> Table:
        """Shunt, where its uncertainty comes from, and what the options did."""
        rows: list[tuple[str, float | None, str]] = [("lung shunt", 100 * self.shunt.lung_shunt.value, "%")]
        # A source that nobody stated, such as scatter that was left, counts as 0: that is no finding.
        parts = {name: sd for name, sd in self.shunt.components_sd.items() if sd > 0}
        rows += [(f"uncertainty from {name}", 100 * sd, "%") for name, sd in parts.items()]
        for name, value in self.shunt.details.items():
            plain, unit = unit_of(name)
            rows.append((plain.replace("_", " "), value if unit else 100 * value, unit or "%"))
        if self.lung_mass_kg is not None:
            rows.append(("lung mass from CT", self.lung_mass_kg, "kg"))
        if self.lungs_whole is False and self.whole_lung_mass is not None:
            rows.append((f"whole lungs, {self.whole_lung_mass.source}", self.whole_lung_mass.mass_kg, "kg"))
        if self.share_elsewhere is not None:
            rows.append(("outside liver and lungs", 100 * self.share_elsewhere, "%"))
        return Table.of(("", "value", "unit"), rows, name="lung-shunt")

    def tables(self) -> tuple[Table, ...]:
        """Shunt; uptake elsewhere; lung dose."""
        found = [self.table()]
        if self.search is not None and (self.search.places or self.search.organs):
            found.append(uptake_table(self.search))
        if (dose := self.lung_dose) is not None:
            row = (dose.planned_gbq, dose.lung_mass_used_kg, dose.dose_lung_gy, dose.lung_mass_from, dose.convention)
            heads = ("GBq", "lungs, kg", "Gy", "mass", "dose constant")
            found.append(Table.of(heads, [row], "Lung dose", "lung-dose"))
        return tuple(found)

    def write(self, folder: Path) -> None:
        """Write ``lung-shunt.html`` and ``lung-shunt.pdf`` of a scout, with a picture of what lies elsewhere."""
        if self.search is None or self.image is None:
            return
        sections = [Section(table.title or "Lung shunt", (TableBlock(table, prose=True),)) for table in self.tables()]
        blocks: list[Paragraph | Picture] = [Paragraph(test_note(self.search.test), note=True)]
        if self.search.places:
            centres = [place.centre_lps_mm for place in self.search.places]
            blocks.insert(0, places_picture(self.image, self.outlines, centres))
        page = Document(
            title=self.title(),
            sections=(*sections, Section("Search outside liver and lungs", tuple(blocks))),
            messages=self.messages,
            created=self.provenance.now().astimezone(),
            provenance=self.provenance.as_document(),
        )
        for name, content in document_files(page, "lung-shunt").items():
            (folder / name).write_bytes(content)


@verb
def lung_shunt(
    scout: ImageSource | None = None,
    *,
    structures: StructureSource | Sequence[StructureSource] = (),
    planar: PlanarInput | Sequence[PlanarInput] = (),
    reading: ScoutOptions = ScoutOptions(),
    spect: SpectShuntOptions = SpectShuntOptions(),
    views: PlanarViewOptions = PlanarViewOptions(),
    dose: LungDoseOptions = LungDoseOptions(),
    progress: Progress | None = None,
) -> LungShuntResult:
    """Lung shunt fraction with its uncertainty by source, and the lung dose.

    Parameters
    ----------
    scout : path, Image or None
        SPECT or PET, corrected for attenuation and scatter.
    structures : path or regions
        Lungs and liver: RTSTRUCT, SEG or label map; of planar views drawn on the CT or on the views, one, or one for
        each file, or none where the files hold overlay planes.
    planar : path, Image, or several
        In place of a scout: NM file with both planar views, or one file for each view; measured as by
        `biodistribution`.
    reading : ScoutOptions
        The CT, and what the files do not say.
    spect : SpectShuntOptions
        How the shunt of a SPECT/CT is taken.
    views : PlanarViewOptions
        Planar views, or their counts in place of images.
    dose : LungDoseOptions
        What the lung dose is asked for.
    progress : callable, optional
        Told what is being done.

    Returns
    -------
    LungShuntResult
        Lung shunt with interval, uptake outside liver and lungs, lung dose.

    Raises
    ------
    InputError
        If not exactly one of scout, planar views and counts is given, or lungs or liver are missing.
    DicomError, GeometryError
        As the readers.

    Examples
    --------
    >>> counts = hepatica.PlanarViewOptions(lung_counts=(5000, 5000), liver_counts=(45000, 45000))
    >>> hepatica.lung_shunt(views=counts).shunt.lung_shunt.value
    0.1
    """
    planar_given = not isinstance(planar, Sequence) or len(planar) > 0
    if (scout is not None) + planar_given + (views.lung_counts is not None) != 1:
        raise InputError("give one of `scout`, `planar`, or `lung_counts` with `liver_counts`")
    _require_of_use(scout is not None, planar_given, structures, reading, spect, views)
    report_progress = progress or silent
    if scout is not None:
        report_progress("reading the scout")
        found = _of_spect(scout, sources_of(structures), reading, spect, dose, report_progress)
    else:
        mass = whole_lung_mass(spect.lung_mass_kg, spect.patient_sex, spect.patient_height_m)
        if planar_given:
            report_progress("reading the planar views")
            seen = measured_shunt(planar, sources_of(structures), reading, views, report_progress)
            found = LungShuntResult(
                shunt=seen.shunt, whole_lung_mass=mass, messages=seen.messages, provenance=Provenance(seen.inputs)
            )
        else:
            found = LungShuntResult(shunt=shunt_of_counts(views), whole_lung_mass=mass, provenance=Provenance())
    shunt = found.shunt
    answer = None
    if dose.planned is not None:
        answer = lung_dose(dose.planned[0], shunt.lung_shunt, found.whole_lung_mass, dose.planned[1])
    return LungShuntResult(
        shunt=shunt,
        lung_mass_kg=found.lung_mass_kg,
        lungs_whole=found.lungs_whole,
        whole_lung_mass=found.whole_lung_mass,
        share_elsewhere=found.share_elsewhere,
        lung_dose=answer,
        search=found.search,
        image=found.image,
        outlines=found.outlines,
        messages=unique(shunt.messages, found.messages),
        provenance=found.provenance.adding(
            f"lung shunt by {shunt.method}",
            parameters=parameters(
                spect if scout is not None else views,
                dose,
                reading,
                lung_mass_kg=spect.lung_mass_kg,
                **dict.fromkeys(("ct", "blank", "transmission_scan")),
            ),
        ),
    )


def _require_of_use(
    of_scout: bool,
    of_planar: bool,
    structures: StructureSource | Sequence[StructureSource],
    reading: ScoutOptions,
    spect: SpectShuntOptions,
    views: PlanarViewOptions,
) -> None:
    """InputError if an option of the other ways is stated; the mass of the lungs serves the dose of each."""
    if of_scout:
        require_unstated(views, why="only of planar views")
        return
    require_unstated(spect, why="only of a SPECT/CT", but=("lung_mass_kg", "patient_sex", "patient_height_m"))
    of_views = ("ct", "ct_series") if of_planar else ()
    require_unstated(reading, why="only of a SPECT/CT", but=("activity_unit", "structure_roles", *of_views))
    if of_planar:
        return
    require_unstated(reading, why="not of counts that were read off elsewhere")
    places = ("lung_counts", "liver_counts", *stated_names(replace(views.corrections, half_life_s=None)))
    require_unstated(views, why="not of counts that were read off elsewhere", but=places)
    if sources_of(structures):
        raise InputError("`structures`: not of counts that were read off elsewhere")


def _of_spect(
    source: ImageSource,
    structures: Sequence[StructureSource],
    reading: ScoutOptions,
    spect: SpectShuntOptions,
    dose: LungDoseOptions,
    report_progress: Progress,
) -> LungShuntResult:
    """Shunt of a SPECT/CT, with what lies outside liver and lungs."""
    if len(structures) != 1:
        raise InputError("a scout needs one set of `structures`, with lungs and liver")
    scout = read_scout(source, structures[0], reading, report_progress)
    liver, lungs = scout.need("liver", "lungs")
    masses = scout.lung_masses(spect)
    shunt = spect_lung_shunt(
        scout.image,
        lungs,
        liver,
        density=scout.density,
        options=spect,
        masses=masses,
        position_sd_mm=scout.position_sd_mm,
    )
    organs = {
        name: role
        for name in scout.others
        if (role := structure_of(scout.others[name], reading.structure_roles)) in ORGANS
    }
    planned = dose.planned
    search = extrahepatic_search(
        scout.image,
        liver,
        lungs,
        organs={name: scout.others[name] for name in organs},
        roles=organs,
        density=scout.density,
        energy_j=None if planned is None else planned[0] * planned[1].j_per_gbq,
    )
    share = share_elsewhere(scout.image, liver, lungs)
    about = (*search.messages(), *about_share_elsewhere(share))
    return LungShuntResult(
        shunt=shunt,
        lung_mass_kg=scout.ct_lung_mass_kg,
        lungs_whole=scout.lungs_seen.whole,
        whole_lung_mass=scout.lung_mass(spect),
        share_elsewhere=share,
        search=search,
        image=scout.image,
        outlines={"liver": liver, "lung": lungs},
        messages=(*scout.messages, *scout.about_lungs(spect, shunt), *about),
        provenance=Provenance(scout.inputs, steps=scout.steps),
    )
