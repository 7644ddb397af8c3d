"""The transport itself, in NVIDIA Warp: one source that compiles for the CPU and for CUDA.

Units inside: keV, mm, density g/mL, mass thickness mm g/mL. A worker (a GPU thread, or a CPU thread's loop) takes
decays one after another; each decay has its own random stream, so the result does not depend on who follows it.
Particles that wait (photons, electrons set free) lie on a small stack of the worker.

This module is only imported where transport is run: it needs warp, which takes a second to load.
"""

from __future__ import annotations

import warp as wp

from hepatica.core.constants import ELECTRON_REST_KEV, KEV_ANGSTROM
from hepatica.transport.device.random import GOLDEN, first_unit, mixed, second_unit
from hepatica.transport.matter.photons import ENERGIES, MOMENTA
from hepatica.transport.matter.scattering import QUANTILES
from hepatica.transport.matter.stepping import SPECTRUM_NODES

REST = wp.constant(ELECTRON_REST_KEV)
N_QUANTILES = wp.constant(QUANTILES)
N_SPECTRUM = wp.constant(SPECTRUM_NODES)
N_ENERGIES = wp.constant(ENERGIES)
N_MOMENTA = wp.constant(MOMENTA)
INVERSE_KEV_ANGSTROM = wp.constant(1.0 / KEV_ANGSTROM)
TWO_PI = wp.constant(6.2831853)
FAR = wp.constant(1.0e30)

PHOTON = wp.constant(0)
ELECTRON = wp.constant(1)
POSITRON = wp.constant(2)
FIELDS = wp.constant(8)
DEPTH = wp.constant(48)

EMITTED = wp.constant(0)
ESCAPED_ELECTRONS = wp.constant(1)
ESCAPED_PHOTONS = wp.constant(2)
LOST = wp.constant(3)
COUNTERS = 4
STACK_FIELDS = 8
STACK_DEPTH = 48


@wp.struct
class Geometry:
    """Voxels of one density and medium each; or, where `radial` is 1, one infinite medium scored in shells."""

    nx: int
    ny: int
    nz: int
    sx: float
    sy: float
    sz: float
    radial: int
    shell_mm: float
    shells: int
    log_start_mm: float
    log_per_unit: float
    log_shells: int
    density: wp.array(dtype=wp.float32)
    medium: wp.array(dtype=wp.uint8)


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
    reach: wp.array(dtype=wp.vec2)
    angle: wp.array(dtype=wp.float32)
    brems: wp.array(dtype=wp.float32)
    photon_log_low: float
    photon_per_log: float
    attenuation: wp.array(dtype=wp.float32)
    shares: wp.array(dtype=wp.vec3)
    majorant: wp.array(dtype=wp.float32)
    scattering: wp.array(dtype=wp.float32)
    form: wp.array(dtype=wp.float32)
    momentum_log_low: float
    momentum_per_log: float


@wp.struct
class Source:
    """Where decays are and what they emit."""

    voxels: int
    voxel: wp.array(dtype=wp.int32)
    voxel_keep: wp.array(dtype=wp.float32)
    voxel_alias: wp.array(dtype=wp.int32)
    beta_yield: float
    beta_bins: int
    beta_kev: wp.array(dtype=wp.float32)
    line_number: float
    lines: int
    line_kev: wp.array(dtype=wp.float32)
    line_keep: wp.array(dtype=wp.float32)
    line_alias: wp.array(dtype=wp.int32)
    gamma_number: float
    gammas: int
    gamma_kev: wp.array(dtype=wp.float32)
    gamma_keep: wp.array(dtype=wp.float32)
    gamma_alias: wp.array(dtype=wp.int32)
    local_kev: float
    positron_yield: float
    positron_sum_kev: float


@wp.func
def rotated(u: wp.vec3, cosine: float, azimuth: float) -> wp.vec3:
    sine = wp.sqrt(wp.max(0.0, 1.0 - cosine * cosine))
    a = sine * wp.cos(azimuth)
    b = sine * wp.sin(azimuth)
    # orthonormal frame without a singular direction (Duff et al., J Comput Graph Tech 2017;6:1)
    sign = wp.where(u[2] >= 0.0, 1.0, -1.0)
    c = -1.0 / (sign + u[2])
    d = u[0] * u[1] * c
    x = a * (1.0 + sign * u[0] * u[0] * c) + b * d + cosine * u[0]
    y = a * sign * d + b * (sign + u[1] * u[1] * c) + cosine * u[1]
    z = -a * sign * u[0] - b * u[1] + cosine * u[2]
    norm = wp.sqrt(x * x + y * y + z * z)
    return wp.vec3(x / norm, y / norm, z / norm)


@wp.func
def isotropic(z: wp.uint64) -> wp.vec3:
    cosine = 2.0 * first_unit(z) - 1.0
    azimuth = TWO_PI * second_unit(z)
    sine = wp.sqrt(wp.max(0.0, 1.0 - cosine * cosine))
    return wp.vec3(sine * wp.cos(azimuth), sine * wp.sin(azimuth), cosine)


@wp.func
def push(
    stack: wp.array(dtype=wp.float32),
    base: int,
    top: int,
    counters: wp.array(dtype=wp.float64),
    kind: int,
    kev: float,
    p: wp.vec3,
    u: wp.vec3,
) -> int:
    if top >= DEPTH:
        wp.atomic_add(counters, LOST, wp.float64(kev))
        return top
    at = base + top * FIELDS
    stack[at] = float(kind)
    stack[at + 1] = kev
    stack[at + 2] = p[0]
    stack[at + 3] = p[1]
    stack[at + 4] = p[2]
    stack[at + 5] = u[0]
    stack[at + 6] = u[1]
    stack[at + 7] = u[2]
    return top + 1


@wp.func
def score(g: Geometry, tally: wp.array(dtype=wp.float64), voxel: int, p: wp.vec3, kev: float) -> int:
    """Add energy to the voxel, or to the shell of `p` in the radial geometry (the last element: beyond all shells)."""
    at = voxel
    if g.radial == 1:
        r = wp.length(p)
        at = int(r / g.shell_mm)
        if at >= g.shells:
            at = g.shells + int(wp.log(wp.max(r, g.log_start_mm) / g.log_start_mm) * g.log_per_unit)
            at = wp.min(at, g.shells + g.log_shells)
    wp.atomic_add(tally, at, wp.float64(kev))
    return at


@wp.func
def hard_loss(kev: float, low: float, rng: wp.uint64) -> wp.vec2:
    """Energy (keV) of an electron set free by a Moller collision, at least `low`; and the random numbers used.

    From 1/W^2 between `low` and half the energy, accepted with the exact ratio (bounded by its value at half).
    """
    total = kev + REST
    c1 = (kev / total) * (kev / total)
    c2 = REST * (2.0 * kev + REST) / (total * total)
    half = 0.5 * kev
    bound = wp.max(2.0 + 0.25 * c1 - c2, 1.0)
    used = float(0.0)
    loss = half
    accepted = int(0)
    state = rng
    while accepted == 0 and used < 200.0:
        state += GOLDEN
        used += 1.0
        z = mixed(state)
        loss = 1.0 / (1.0 / low - first_unit(z) * (1.0 / low - 1.0 / half))
        x = loss / kev
        y = x / (1.0 - x)
        ratio = 1.0 + y * y + c1 * x * x - c2 * y
        if second_unit(z) * bound <= ratio:
            accepted = 1
    return wp.vec2(loss, used)


@wp.func
def photon_energy(m: Physics, rung: int, kev: float, unit: float) -> float:
    """Energy of a bremsstrahlung photon of an electron of `kev` in that rung."""
    v = unit * float(N_SPECTRUM)
    n = wp.min(int(v), N_SPECTRUM - 1)
    at = rung * (N_SPECTRUM + 1) + n
    x = m.brems[at] + (v - float(n)) * (m.brems[at + 1] - m.brems[at])
    return m.photon_cutoff * wp.exp(x * wp.log(kev / m.photon_cutoff))


@wp.func
def clamped_index(x: float, size: float, n: int) -> int:
    return wp.min(wp.max(int(x / size), 0), n - 1)
