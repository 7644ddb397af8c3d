"""Iodised oil in tissue: how much of it a CT number means, and the media that it makes.

Iodine raises the CT number far more than the density: by that number tissue with oil would be bone. Where a person
states that there is oil, the CT number above that of tissue is iodine, and iodine is oil.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepatica.transport.matter.composition import Medium, media_by_density
from hepatica.transport.matter.composition import medium as medium_named

OIL_G_ML = 1.28
OIL_IODINE_MG_ML = 480.0
"""Ethiodised oil (Lipiodol Ultra-Fluid, summary of product characteristics): 1.28 g/mL, 480 mg of iodine a mL."""

HU_PER_MG_ML = 25.0
"""CT number of 1 mg/mL of iodine at 120 kVp (Bae, Radiology 2010;256:32: 25 to 30, and 40 at 80 kVp). A fifth more or
less moves a density of 1.1 g/mL by 0.01."""

MASS_SHARES = np.geomspace(0.01, 1.0, 14)
"""Shares of a medium's mass that are told apart, each 1.4 times the one before."""

LEAST_SHARE = 0.008
"""Less oil than this is none: the noise of the CT."""


def oil_g_ml(hu: NDArray[np.floating], tissue_hu: float) -> NDArray[np.float32]:
    """Grams of oil in a mL where tissue without it has a CT number `tissue_hu`; no more than pure oil."""
    volume = (np.asarray(hu, dtype=np.float32) - np.float32(tissue_hu)) / np.float32(HU_PER_MG_ML * OIL_IODINE_MG_ML)
    return np.asarray(np.clip(volume, 0.0, 1.0) * np.float32(OIL_G_ML), dtype=np.float32)


def density_with_oil(oil: NDArray[np.floating], tissue_g_ml: float) -> NDArray[np.float32]:
    """Density of tissue that holds `oil` g/mL, in g/mL: volumes add up."""
    return np.asarray(tissue_g_ml + oil * np.float32(1 - tissue_g_ml / OIL_G_ML), dtype=np.float32)


def medium_with_oil(base: Medium, mass_share: float) -> Medium:
    """Medium of which that share of the mass is oil."""
    oil = medium_named("iodised_oil")
    shares = ((base, 1 - mass_share), (oil, mass_share))
    fractions: dict[int, float] = {}
    for one, share in shares:
        for z, weight in one.fractions:
            fractions[z] = fractions.get(z, 0.0) + share * weight
    electrons = [share * one.electrons_per_gram_mol for one, share in shares]
    logs = [np.log(one.mean_excitation_ev) for one, _ in shares]
    return Medium(
        f"{base.name} with {100 * mass_share:.2g} % iodised oil",
        1 / sum(share / one.density_g_ml for one, share in shares),
        tuple(fractions.items()),
        float(np.exp(np.dot(electrons, logs) / np.sum(electrons))),
    )


def media_with_oil(
    density_g_ml: NDArray[np.floating], oil: NDArray[np.floating], table: tuple[tuple[float, str], ...]
) -> tuple[NDArray[np.uint8], tuple[Medium, ...]]:
    """As `composition.media_by_density`, where each mL holds that many grams of oil.

    What is not oil has the medium of its own density.

    Raises
    ------
    UnknownNameError, InputError
        As `media_by_density`.
    """
    total = np.asarray(density_g_ml, dtype=np.float32)
    held = np.clip(np.asarray(oil, dtype=np.float32), 0.0, total)
    share = np.divide(held, total, out=np.zeros_like(total), where=total > 0)
    step = np.digitize(share, np.sqrt(MASS_SHARES[1:] * MASS_SHARES[:-1])) + 1
    step[share < LEAST_SHARE] = 0
    room = 1 - held / np.float32(OIL_G_ML)
    mostly_oil = room < 0.05  # what else there is cannot be told
    tissue = np.float32(medium_named("soft_tissue").density_g_ml)
    rest = np.where(mostly_oil, tissue, (total - held) / np.maximum(room, np.float32(0.05)))
    index, media = media_by_density(np.where(step > 0, rest, total), table)
    kinds, number = np.unique(index.astype(np.int64) * (len(MASS_SHARES) + 1) + step, return_inverse=True)
    made = []
    for base, level in (divmod(int(kind), len(MASS_SHARES) + 1) for kind in kinds):
        made.append(media[base] if level == 0 else medium_with_oil(media[base], float(MASS_SHARES[level - 1])))
    return number.reshape(total.shape).astype(np.uint8), tuple(made)
