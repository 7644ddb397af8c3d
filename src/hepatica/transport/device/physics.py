"""Tables of electrons and photons on the device, and their look-ups.

Units inside: keV, mm, density g/mL, mass thickness mm g/mL.
"""

from __future__ import annotations

import warp as wp

from hepatica.core.constants import ELECTRON_REST_KEV, KEV_ANGSTROM
from hepatica.transport.matter.photons import ENERGIES, MOMENTA

REST = wp.constant(ELECTRON_REST_KEV)
INVERSE_KEV_ANGSTROM = wp.constant(1.0 / KEV_ANGSTROM)
N_ENERGIES = wp.constant(ENERGIES)
N_MOMENTA = wp.constant(MOMENTA)


@wp.struct
class Physics:
    """Tables of stepping.Ladder and photons.PhotonTables, flattened [medium, ...]."""

    rungs: int
    cutoff: float
    photon_cutoff: float
    photon_loss_share: float
    log_top: float
    inverse_log_ratio: float
    ratio: float
    energy: wp.array(dtype=wp.float32)
    hard_limit: wp.array(dtype=wp.float32)
    step: wp.array(dtype=wp.vec4)
    reach: wp.array(dtype=wp.vec3)
    angle: wp.array(dtype=wp.float32)
    brems: wp.array(dtype=wp.float32)
    photon_log_low: float
    photon_per_log: float
    attenuation: wp.array(dtype=wp.float32)
    shares: wp.array(dtype=wp.vec3)
    fluorescence: wp.array(dtype=wp.float32)
    majorant: wp.array(dtype=wp.float32)
    scattering: wp.array(dtype=wp.float32)
    form: wp.array(dtype=wp.float32)
    momentum_log_low: float
    momentum_per_log: float


@wp.func
def energy_place(m: Physics, kev: float):
    """Entry of the photon tables below an energy, and how far it is to the next."""
    place = (wp.log(kev) - m.photon_log_low) * m.photon_per_log
    entry = wp.min(wp.max(int(place), 0), N_ENERGIES - 2)
    return entry, wp.clamp(place - float(entry), 0.0, 1.0)


@wp.func
def attenuation(m: Physics, medium: int, entry: int, part: float, density: float) -> float:
    """Coefficient of all processes, 1/mm."""
    at = medium * N_ENERGIES + entry
    return (m.attenuation[at] + part * (m.attenuation[at + 1] - m.attenuation[at])) * density


@wp.func
def shares(m: Physics, medium: int, entry: int, part: float) -> wp.vec3:
    """Shares of photoelectric effect, coherent scattering and pair production; the rest is Compton scattering."""
    at = medium * N_ENERGIES + entry
    return m.shares[at] + part * (m.shares[at + 1] - m.shares[at])


@wp.func
def momentum_transfer(kev: float, versine: float) -> float:
    """Of a photon turned by an angle, 1/angstrom; versine is 1 - cosine."""
    return kev * INVERSE_KEV_ANGSTROM * wp.sqrt(wp.max(0.5 * versine, 0.0))


@wp.func
def momentum_value(m: Physics, values: wp.array(dtype=wp.float32), medium: int, x: float) -> float:
    """Value at momentum transfer x (1/angstrom) from a table on the logarithmic grid."""
    place = wp.max((wp.log(wp.max(x, 1.0e-6)) - m.momentum_log_low) * m.momentum_per_log, 0.0)
    n = wp.min(int(place), N_MOMENTA - 2)
    part = wp.min(place - float(n), 1.0)
    at = medium * N_MOMENTA + n
    return values[at] + part * (values[at + 1] - values[at])


@wp.func
def compton_kev(kev: float, cosine: float) -> float:
    """Energy of a photon after Compton scatter by an angle."""
    return kev / (1.0 + kev / REST * (1.0 - cosine))
