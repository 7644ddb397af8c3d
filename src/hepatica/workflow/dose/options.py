"""What a user can say about a dose calculation beyond the images, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal

from hepatica.anatomy.ct.tissue_density import DensityOptions
from hepatica.anatomy.structures.clinical import StructureOptions
from hepatica.core.options import Limits, Positive, Unit, options, parameters
from hepatica.core.transform.options import TransformOptions
from hepatica.dosimetry.engines.dose_grid import GridChoice
from hepatica.dosimetry.engines.dose_map import DoseSettings
from hepatica.dosimetry.engines.montecarlo import MonteCarloOptions
from hepatica.dosimetry.engines.registry import EngineName
from hepatica.dosimetry.time.options import TimeOptions
from hepatica.dosimetry.time.single_point import MeasuredShape
from hepatica.errors import InputError
from hepatica.imaging.quantify.options import QuantificationOptions
from hepatica.imaging.quantify.structure_activity import PartialVolumeOptions
from hepatica.imaging.reconstruct.resampling import Ensemble
from hepatica.io.read import CtOptions, ImageOptions
from hepatica.planning.scout.treated_lungs import LungOptions
from hepatica.transport.runner.settings import StoppingOptions


@options
class OutputOptions:
    """Voxels of the dose, and how it is written.

    Attributes
    ----------
    grid : {"activity", "ct"} or float
        Voxels of the dose: the activity image's, the CT's, or cubic ones of this size in mm ('3 mm').
    dvh_bin_gy : float or None
        Bin width of the histograms.
    rtdose_bits : {16, 32}
        Bits of the RTDOSE: 16 (read everywhere) or 32 (finer).
    """

    grid: Annotated[GridChoice, Unit("mm"), Limits(low=0.5, high=20)] = "activity"
    dvh_bin_gy: Positive | None = None
    rtdose_bits: Literal[16, 32] = 16


ENGINES_OF: Mapping[str, tuple[EngineName, ...]] = {
    "density": ("kernel",),
    "kernel_medium": ("kernel",),
    "kernel_density_g_ml": ("kernel",),
    "local_photon_fraction": ("local",),
}
"""Settings that only some engines understand."""


@options
class DoseOptions:
    """All that can be said of a dose calculation, one group for each step from image to report.

    Attributes
    ----------
    images, scanner, registration, quantification, time, partial_volume
        How activity and CT are read and lie to each other, counts become becquerels, becquerels become decays, and blur
        is undone.
    density, lungs
        Densities that the CT number does not give, and the mass of lungs that the images do not show whole.
    settings, stopping, montecarlo
        What the dose engine is told.
    clinical, output
        What structures are, and how the dose is written.
    """

    images: ImageOptions = ImageOptions()
    scanner: CtOptions = CtOptions()
    registration: TransformOptions = TransformOptions()
    quantification: QuantificationOptions = QuantificationOptions()
    time: TimeOptions = TimeOptions()
    partial_volume: PartialVolumeOptions = PartialVolumeOptions()
    density: DensityOptions = DensityOptions()
    lungs: LungOptions = LungOptions()
    settings: DoseSettings = DoseSettings()
    stopping: StoppingOptions = StoppingOptions()
    montecarlo: MonteCarloOptions = MonteCarloOptions()
    clinical: StructureOptions = StructureOptions()
    output: OutputOptions = OutputOptions()

    def require_fit(self, engine: EngineName) -> None:
        """InputError if something is said that only another engine understands."""
        standard = DoseSettings()
        for name, engines in ENGINES_OF.items():
            if engine not in engines and getattr(self.settings, name) != getattr(standard, name):
                raise InputError(
                    f"`{name}` belongs to the engine {' or '.join(engines)}, not to {engine}",
                    remedy=f"state `engine` {engines[0]}, or leave it out",
                )
        if engine == "montecarlo" or (self.stopping, self.montecarlo) == (StoppingOptions(), MonteCarloOptions()):
            return
        raise InputError(
            f"stopping rules, seed, device, parts and checkpoint belong to the engine montecarlo, not to {engine}",
            remedy="state `engine` montecarlo, or leave them out",
        )

    def parameters(self, engine: str) -> Mapping[str, object]:
        """Plain values for the provenance; what was not said, or does not concern the engine, is left out."""
        volume = self.partial_volume
        if isinstance(volume.replicates, Ensemble):
            volume = replace(volume, replicates=None)
        time = self.time
        if isinstance(time.time_curve, MeasuredShape):
            time = replace(time, time_curve=None)
        groups = (
            self.images, self.scanner, self.registration, self.quantification, time, volume, self.density, self.lungs,
            self.settings, self.clinical, self.output,
        )  # fmt: skip
        return parameters(*groups, *((self.stopping, self.montecarlo) if engine == "montecarlo" else ()))
