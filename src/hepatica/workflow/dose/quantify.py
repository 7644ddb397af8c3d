"""An image of counts as an image of activity."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from hepatica.anatomy.structures.clinical import StructureOptions
from hepatica.core import Grid, InputFile, Kind, Provenance, Region, Volume
from hepatica.core.certainty import ImageCertainty
from hepatica.core.document import HIDDEN, reported
from hepatica.core.image import Image, not_stated
from hepatica.core.message import Message, unique
from hepatica.core.options import parameters, verb
from hepatica.core.progress import Progress, silent
from hepatica.core.tables.table import Table
from hepatica.imaging.pet.becquerels.plausible import settled, total_explained, total_implausible
from hepatica.imaging.quantify.activity import NegativeOption, Quantified, compare_with_administered
from hepatica.imaging.quantify.lungs_in_view import shunt_messages
from hepatica.imaging.quantify.options import QuantificationOptions, administration_of, overruled
from hepatica.io.itk import write_itk
from hepatica.io.read import ImageOptions
from hepatica.nuclides import Nuclide
from hepatica.nuclides import nuclide as find_nuclide
from hepatica.workflow.dose.absorbed_dose import read_activity
from hepatica.workflow.dose.decays import becquerels, negatives_of, require_used
from hepatica.workflow.dose.given_activity import with_given
from hepatica.workflow.dose.patient.patient import lungs_in_view
from hepatica.workflow.dose.patient.structures import structures_on
from hepatica.workflow.result import Result, result
from hepatica.workflow.sources import ImageSource, StructureSource


@dataclass(frozen=True, slots=True)
class StructureContent:
    """Activity of one structure at the instant of the image."""

    name: str
    volume_ml: float
    activity_mbq: float
    concentration_mean_bq_ml: float


@result
class QuantifyResult(Result):
    """An image in Bq/mL.

    Attributes
    ----------
    quantified : Quantified
        Bq in every voxel.
    image : Image
        The image it was made from.
    nuclide : str
        What is in the patient.
    activity_expected_mbq : float or None
        What should be in view of the activity administered, at the administration; None where that is not known.
    activity_at_administration_mbq : float or None
        What the image holds, carried back to the administration; None where its instant is not known.
    structures : tuple of StructureContent
        Activity in each structure.
    """

    verb: ClassVar[str] = "quantify"

    quantified: Quantified = field(metadata=HIDDEN)
    image: Image = field(metadata=HIDDEN)
    nuclide: str
    activity_expected_mbq: float | None
    activity_at_administration_mbq: float | None
    structures: tuple[StructureContent, ...] = ()

    @property
    def activity(self) -> Volume:
        """Bq in every voxel."""
        return self.quantified.activity

    @property
    def concentration(self) -> Volume:
        """Bq/mL in every voxel."""
        return self.quantified.concentration

    @property
    @reported
    def activity_mbq(self) -> float:
        """Activity in the image at its instant."""
        return self.activity.total / 1e6

    @property
    @reported
    def activity_at(self) -> datetime | None:
        """Instant that the activity refers to."""
        return self.activity.time

    @property
    @reported
    def concentration_max_bq_ml(self) -> float:
        """Highest voxel."""
        return self.quantified.concentration_max_bq_ml

    @property
    @reported
    def activity_scale_relative_sd(self) -> float | None:
        """Relative standard uncertainty common to all voxels; None if unknown."""
        return self.quantified.scale_relative_sd

    @property
    @reported
    def image_certainty(self) -> ImageCertainty:
        """What is known of the becquerels, which goes with the image into a dose."""
        return self.image.acquisition.certainty.with_scale(self.activity_scale_relative_sd)

    @property
    @reported
    def below_zero(self) -> bool:
        """Whether the method of the image lets voxels go below zero: their noise is then kept in a dose."""
        return self.image.acquisition.below_zero

    @property
    @reported
    def seen_z_mm(self) -> tuple[float, float] | None:
        """Between which ends the image was seen well, mm along `seen_along`; None where that is not known."""
        return self.image.acquisition.seen_z_mm

    @property
    @reported
    def seen_along(self) -> tuple[float, float, float]:
        """Unit vector in LPS along which these ends are measured."""
        return self.image.acquisition.seen_along

    @property
    def activity_image(self) -> Image:
        """The image in Bq/mL with what is known of it: what *dose* takes."""
        facts = replace(self.image.acquisition, unit_in_file="", certainty=self.image_certainty, nuclide=self.nuclide)
        missing = not_stated(Kind.ACTIVITY_CONCENTRATION, nuclide=self.nuclide, time=self.activity.time)
        return replace(self.image, volume=self.concentration, acquisition=facts, missing=missing)

    @property
    @reported
    def grid(self) -> Grid:
        """Voxels of the image."""
        return self.activity.grid

    def title(self) -> str:
        """Activity and its instant."""
        when = "at an unknown instant" if self.activity_at is None else f"at {self.activity_at:%Y-%m-%d %H:%M:%S}"
        return f"{self.nuclide}: the image holds {self.activity_mbq:.4g} MBq {when}"

    def table(self) -> Table:
        """Activity of the image and of each structure."""
        whole = self.grid.size * self.grid.voxel_volume_ml
        rows = [("image", whole, self.activity_mbq, 1e6 * self.activity_mbq / whole)]
        rows += [(s.name, s.volume_ml, s.activity_mbq, s.concentration_mean_bq_ml) for s in self.structures]
        return Table.of(("structure", "mL", "MBq", "mean, Bq/mL"), rows, "", "activity")

    def write(self, folder: Path) -> None:
        """Write ``activity.nii.gz`` in Bq/mL."""
        write_itk(self.concentration, folder / "activity.nii.gz")


@verb
def quantify(
    image: ImageSource,
    *,
    nuclide: str | Nuclide,
    structures: StructureSource | None = None,
    negatives: NegativeOption | None = None,
    images: ImageOptions = ImageOptions(),
    quantification: QuantificationOptions = QuantificationOptions(),
    progress: Progress | None = None,
) -> QuantifyResult:
    """Activity in Bq/mL of an image in counts, by camera factor or administered activity.

    Parameters
    ----------
    image : path or Image
        SPECT in counts, or PET: DICOM file or folder, NIfTI, MetaImage.
    nuclide : str
        What was administered, such as Lu-177.
    structures : path, sequence of Region, or None
        RTSTRUCT, SEG or label map, whose activity is reported.
    negatives : {"zero", "keep", "refuse"} or None
        What happens to negative voxels: set to zero (more than noise is refused), kept for unbiased means, or refused.
        By default kept of a PET whose method lets voxels go below zero, as its file says, else set to zero.
    images, quantification
        How the image is read, and how counts become becquerels.
    progress : callable, optional
        Called with one sentence at each step.

    Returns
    -------
    QuantifyResult
        Activity in every voxel and structure; ``save`` writes the image in Bq/mL.

    Raises
    ------
    HepaticaError
        InputError, UnitError, TimeError or DicomError where the image is damaged or something is missing.

    Examples
    --------
    >>> options = hepatica.QuantificationOptions(calibration=hepatica.Estimate(11.8, 0.4), frame_duration_s=1200)
    >>> hepatica.quantify("spect.dcm", nuclide="Lu-177", quantification=options).activity_mbq  # doctest: +SKIP
    1840.2
    """
    report_progress = progress or silent
    chosen = find_nuclide(nuclide)
    quantification, about_given, given_files = with_given(
        quantification, chosen, sources=image, activity_at=images.activity_at
    )
    report_progress("reading the image")
    (scan,) = read_activity(image, chosen, images, quantification.administered_at)
    require_used((scan,), quantification)
    negatives = negatives_of(negatives, (scan,))
    drawn = None if structures is None else structures_on(scan.grid, structures, scan, StructureOptions())
    lungs = None if drawn is None else lungs_in_view(drawn, scan.volume)
    report_progress("counts to becquerels")
    found = becquerels(scan, chosen, quantification, negatives=negatives, lungs=lungs)
    administration = administration_of(scan, quantification, lungs)
    checks: tuple[Message, ...] = ()
    held = expected = None
    if administration is not None:
        expected = administration.in_view.value / 1e6
        if administration.time is not None and found.activity.time is not None:
            compared = compare_with_administered(found.activity, administration, half_life_s=chosen.half_life_s)
            why = total_explained(compared.in_image_bq, compared.expected_bq, scan.acquisition, chosen)
            checks, held = (*compared.messages, *why), compared.in_image_bq / 1e6
    else:
        checks = total_implausible(found.activity.total, scan.acquisition, chosen)
    calibration = quantification.calibration_file
    inputs = (
        scan.source,
        *([drawn.source] if drawn is not None and drawn.source is not None else []),
        *given_files,
        *([InputFile.of("calibration", calibration)] if calibration is not None else []),
    )
    start = Provenance(inputs=inputs, parameters=parameters(images, quantification, negatives=negatives))
    return QuantifyResult(
        quantified=found,
        image=scan,
        nuclide=chosen.name,
        activity_expected_mbq=expected,
        activity_at_administration_mbq=held,
        structures=() if drawn is None else tuple(_content(found.activity, item.region) for item in drawn.clinical),
        messages=settled(
            unique(
                scan.messages,
                about_given,
                overruled(scan, quantification),
                found.messages,
                checks,
                ()
                if drawn is None
                else shunt_messages(lungs, quantification.lung_shunt, quantification.lungs_in_image),
                () if drawn is None else drawn.messages,
            )
        ),
        provenance=start.merged(found.provenance),
    )


def _content(activity: Volume, region: Region) -> StructureContent:
    held = region.total(activity)
    return StructureContent(region.name, region.volume_ml, held / 1e6, held / region.volume_ml)
