"""Dose by convolution with voxel S values: electrons and photons carried as in a uniform medium."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid, Kind, Provenance, Region, Volume
from hepatica.core.constants import MEV_TO_J
from hepatica.core.message import Message
from hepatica.core.region import Window, bounding_window
from hepatica.dosimetry.engines.dose_map import (
    GRAM_PER_KG,
    DoseEngine,
    DoseMap,
    DoseSettings,
    EnergyBalance,
    air_messages,
    settings_parameters,
    through_fine_voxels,
)
from hepatica.nuclides import Nuclide
from hepatica.transport.kernels.convolution import convolve_even
from hepatica.transport.kernels.voxel import VoxelKernel, point_kernel, voxel_kernel

LUNG_BELOW_G_ML = 0.5
"""Density that parts lung (0.2 to 0.4 g/mL) from soft tissue (0.9 and more) for the warning about uniform kernels."""

LUNG_WARNING_FRACTION = 0.01


class KernelEngine(DoseEngine[DoseMap]):
    """Convolution with the voxel S values of a uniform medium, made for the image's own spacing.

    With ``density="local"`` the energy that the uniform medium's kernel brings into a voxel is divided by the voxel's
    own mass, so that energy is conserved voxel by voxel. With ``density="none"`` the result is the dose to the uniform
    medium of ``kernel_density_g_ml`` (water of 1.0 g/mL unless said otherwise) everywhere, whatever the CT shows: in
    liver of 1.06 g/mL 6 % more than the dose to the liver.

    Both carry the radiation through a uniform medium. Next to lung above a hot liver this stops the electrons within
    11 mm where they reach up to 40 mm: "local" gives the lung's base too much dose and the lung beyond it too little.

    A point kernel must exist for the nuclide. All settings but ``local_photon_fraction`` are used.
    """

    name = "kernel"

    def _dose_on(
        self,
        grid: Grid,
        decays: Volume,
        density: Volume,
        nuclide: Nuclide,
        settings: DoseSettings,
        regions: Sequence[Region],
    ) -> DoseMap:
        return through_fine_voxels(self, grid, decays, density, nuclide, settings)

    def _dose(self, decays: Volume, density: Volume, nuclide: Nuclide, settings: DoseSettings) -> DoseMap:
        everywhere = settings.density == "none"
        tissue = np.ones(decays.grid.shape, bool) if everywhere else density.values >= settings.air_below_g_ml
        window = bounding_window(tissue | (decays.values != 0))
        kernel = voxel_kernel(
            nuclide,
            decays.grid.spacing_mm,
            half_shape=[s.stop - s.start for s in window],
            medium=settings.kernel_medium,
            density_g_ml=settings.kernel_density_g_ml,
        )
        provenance, octant = _provenance(nuclide, settings, kernel), kernel.gy_per_decay
        del kernel  # its two octants are as large as the image
        in_medium = convolve_even(decays.values[window], octant, settings.threads)
        del octant
        if float(decays.values.min()) >= 0:
            np.maximum(in_medium, 0, out=in_medium)  # single-precision rounding where the dose vanishes

        balance = _balance(in_medium, tissue[window], decays, nuclide, settings)
        dose = np.zeros(decays.grid.shape, np.float32)
        dose[window] = (
            in_medium if everywhere else _own_mass(in_medium, density.values[window], tissue[window], settings)
        )
        return DoseMap(
            dose=decays.with_values(dose, Kind.DOSE, name=f"{nuclide.name} dose, kernel convolution"),
            dose_sd=None,
            density=density,
            decays=decays,
            nuclide=nuclide.name,
            engine=self.name,
            settings=settings,
            energy_balance=balance,
            provenance=provenance,
            messages=(
                *air_messages(balance, settings),
                *_lung_messages(in_medium, density.values, tissue, window, settings),
            ),
        )


def _own_mass(
    in_medium: NDArray[np.float32], density: NDArray[np.float32], tissue: NDArray[np.bool_], settings: DoseSettings
) -> NDArray[np.float32]:
    ratio = np.divide(
        np.float32(settings.kernel_density_g_ml), density, out=np.zeros(density.shape, np.float32), where=tissue
    )
    return in_medium * ratio


def _balance(
    in_medium: NDArray[np.float32],
    tissue: NDArray[np.bool_],
    decays: Volume,
    nuclide: Nuclide,
    settings: DoseSettings,
) -> EnergyBalance:
    voxel_kg = settings.kernel_density_g_ml * decays.grid.voxel_volume_ml / GRAM_PER_KG
    emitted = decays.total * (nuclide.electron_energy_mev + nuclide.photon_energy_mev) * MEV_TO_J
    in_image = float(in_medium.sum(dtype=np.float64)) * voxel_kg
    deposited = float(in_medium.sum(dtype=np.float64, where=tissue)) * voxel_kg
    return EnergyBalance(
        emitted_j=emitted, deposited_j=deposited, in_air_j=in_image - deposited, outside_j=emitted - in_image
    )


def _provenance(nuclide: Nuclide, settings: DoseSettings, kernel: VoxelKernel) -> Provenance:
    table = point_kernel(nuclide.name, settings.kernel_medium)
    quantity = {
        "local": "energy carried as in the kernel's uniform medium, over the voxel's own mass (density from the CT)",
        "none": f"dose to a uniform medium of {settings.kernel_density_g_ml:g} g/mL; the patient's density is not used",
    }
    return Provenance(
        parameters=settings_parameters("kernel", nuclide, settings)
        | {
            "density": settings.density,
            "kernel_medium": settings.kernel_medium,
            "kernel_density_g_ml": settings.kernel_density_g_ml,
            "kernel_spacing_mm": list(kernel.spacing_mm),
            "kernel_reach_voxels": list(kernel.electron_gy_per_decay.shape),
            "kernel_reach_mm": float(table.r_mm[-1]) * table.density_g_ml / settings.kernel_density_g_ml,
            "kernel_integration_rel_error": kernel.integration_rel_error,
            "electron_energy_fraction_within_reach": table.electron_sum,
            "photon_energy_fraction_within_reach": table.photon_sum,
        },
        tables={"point kernel": table.source},
        conventions={"dose": quantity[settings.density]},
        steps=(f"Absorbed dose by convolution with voxel S values, density option '{settings.density}'.",),
    )


def _lung_messages(
    in_medium: NDArray[np.float32],
    density: NDArray[np.float32],
    tissue: NDArray[np.bool_],
    window: Window,
    settings: DoseSettings,
) -> tuple[Message, ...]:
    lung = tissue[window] & (density[window] < LUNG_BELOW_G_ML)
    share = float(in_medium.sum(dtype=np.float64, where=lung)) / float(in_medium.sum(dtype=np.float64))
    if share <= LUNG_WARNING_FRACTION:
        return ()
    what = "divides the energy by its mass" if settings.density == "local" else "ignores its density"
    text = (
        f"{100 * share:.1f} % of the energy falls into tissue below {LUNG_BELOW_G_ML:g} g/mL (lung). The "
        f"kernel carries it as in uniform {settings.kernel_medium} and {what}: doses there, above all within 4 cm of "
        "the liver, are not reliable"
    )
    return (Message("kernel-in-lung", text, "use Monte Carlo"),)
