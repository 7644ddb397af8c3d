"""Local deposition: the electrons of a decay leave their energy in the voxel where the decay happens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hepatica.core import Grid, Kind, Provenance, Region, Volume
from hepatica.core.constants import MEV_TO_J
from hepatica.core.message import Message
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

PHOTON_WARNING_FRACTION = 0.01
"""Share of the emitted energy that photons must carry for the ``local`` engine to warn that it leaves them out."""


class LocalEngine(DoseEngine[DoseMap]):
    """Dose = decays x energy per decay / mass of the voxel.

    Electron energy (beta, conversion, Auger) stays in the voxel; of the photon energy the share
    ``local_photon_fraction`` does, by default none. Where the image is blurred by more than the electrons' range, as
    90Y SPECT and PET are, this loses nothing against a kernel, which would blur a second time. It is wrong next to a
    density step (an electron from the liver that ends in the lung) and it gives no photon dose to other organs.
    Compared with kernels on 90Y images by Pasciak et al., Front Oncol 2014;4:121. Of the settings ``air_below_g_ml``,
    ``local_photon_fraction`` and ``negatives`` are used.
    """

    name = "local"

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
        photon_mev = settings.local_photon_fraction * nuclide.photon_energy_mev
        kept_j = (nuclide.electron_energy_mev + photon_mev) * MEV_TO_J
        emitted_j = (nuclide.electron_energy_mev + nuclide.photon_energy_mev) * MEV_TO_J

        tissue = density.values >= settings.air_below_g_ml
        mass_g = np.where(tissue, density.values, 1.0).astype(np.float32) * np.float32(decays.grid.voxel_volume_ml)
        dose = decays.values.astype(np.float32) * np.float32(kept_j * GRAM_PER_KG) / mass_g
        dose[~tissue] = 0

        total = decays.total
        in_air = float(decays.values[~tissue].sum(dtype=np.float64))
        balance = EnergyBalance(
            emitted_j=total * emitted_j,
            deposited_j=(total - in_air) * kept_j,
            in_air_j=in_air * kept_j,
            left_out_j=total * (emitted_j - kept_j),
        )
        return DoseMap(
            dose=decays.with_values(dose, Kind.DOSE, name=f"{nuclide.name} dose, local deposition"),
            dose_sd=None,
            density=density,
            decays=decays,
            nuclide=nuclide.name,
            engine=self.name,
            settings=settings,
            energy_balance=balance,
            provenance=_provenance(nuclide, settings),
            messages=(*_photon_messages(nuclide, settings), *air_messages(balance, settings)),
        )


def _provenance(nuclide: Nuclide, settings: DoseSettings) -> Provenance:
    return Provenance(
        parameters=settings_parameters("local", nuclide, settings)
        | {"local_photon_fraction": settings.local_photon_fraction},
        conventions={
            "dose": "energy of the electrons emitted in the voxel over the voxel's own mass (density from the CT)",
            "air": f"voxels below {settings.air_below_g_ml:g} g/mL have dose 0; the energy in them is reported",
        },
        steps=("Absorbed dose by local deposition in each voxel's own density.",),
    )


def _photon_messages(nuclide: Nuclide, settings: DoseSettings) -> tuple[Message, ...]:
    emitted = nuclide.electron_energy_mev + nuclide.photon_energy_mev
    left_out = (1 - settings.local_photon_fraction) * nuclide.photon_energy_mev / emitted
    if left_out <= PHOTON_WARNING_FRACTION:
        return ()
    text = (
        f"{nuclide.name}: photons carry {100 * nuclide.photon_energy_mev / emitted:.0f} % of the emitted energy; local "
        f"deposition leaves out {100 * left_out:.0f} %"
    )
    return (Message("photons-left-out", text, "the kernel engine or Monte Carlo includes it"),)
