"""All organs of one patient as solids in the patient's own frame, each of its mass, none overlapping another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.virtual_patient import liver, trunk
from hepatica.anatomy.virtual_patient.liver import Fissures
from hepatica.anatomy.virtual_patient.read import hounsfield, reference_masses_g
from hepatica.anatomy.virtual_patient.settings import PatientSettings
from hepatica.anatomy.virtual_patient.shapes import Solid, plus, ripple, volume_ml
from hepatica.errors import InputError
from hepatica.transport.matter.media import HuCalibration, default_calibration

SEX_SIZE: Mapping[str, tuple[float, float, float]] = {"male": (1.0, 1.0, 1.0), "female": (0.88, 0.86, 0.98)}
"""Size of the trunk relative to the male along x, y, z: extents of the lungs and the trunk of ICRP Publication 110."""

CIRRHOTIC_LIVER, CIRRHOTIC_SPLEEN = 0.78, 2.8
"""Volumes relative to the reference. Assumptions: shrunken liver, portal hypertension."""

FIT_TOLERANCE = 2e-3
"""Relative; a solid is scaled until its volume is this close to what is asked."""

POINTS = 50_000
"""In the box of a solid whose volume is counted."""

Size = tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """The patient's solids.

    Attributes
    ----------
    size : tuple of float
        The patient's frame is the reference frame times these.
    organs : mapping of str to Solid
        In the order in which they claim a voxel that two of them touch.
    layers : mapping of str to Solid
        "body", "beneath skin", "beneath fat", "cavity": each inside the one before.
    fissures : Fissures
        Planes of the liver's segments, in the reference frame.
    """

    size: Size
    organs: Mapping[str, Solid]
    layers: Mapping[str, Solid]
    fissures: Fissures

    def to_patient(self, points: Sequence[Sequence[float]]) -> NDArray[np.float64]:
        """Points of the reference frame in the patient's frame, mm."""
        return np.asarray(np.asarray(points, dtype=np.float64) * np.asarray(self.size))


def body_of(settings: PatientSettings, random: np.random.Generator) -> Body:
    """Build the solids.

    Raises
    ------
    InputError
        If the liver asked for does not fit into the body.
    """
    frame = _Frame(_size(settings), _volumes_ml(settings))
    placed, fitted = frame.placed, frame.fitted
    chest = placed(trunk.cavity(2.0))
    cava, aorta = placed(trunk.vena_cava()), placed(trunk.aorta())
    gallbladder = fitted("gallbladder", trunk.gallbladder, lambda s: s)
    kidneys = {
        f"kidney {word}": fitted(f"kidney {word}", partial(trunk.kidney, side), lambda s: s.within(chest))
        for word, side in (("right", -1), ("left", 1))
    }
    the_liver, bulk = _liver(
        settings, random, frame.size, frame.volumes_ml["liver"], placed(trunk.under_lungs()), (cava, gallbladder),
        kidneys["kidney right"],
    )  # fmt: skip
    heart = fitted("heart", trunk.heart, lambda s: s.within(chest).without(bulk, gap_mm=4, rounding_mm=4))
    spleen = fitted(
        "spleen", trunk.spleen,
        lambda s: s.within(chest, rounding_mm=4).without(kidneys["kidney left"], bulk, gap_mm=2, rounding_mm=6),
    )  # fmt: skip
    stomach = fitted(
        "stomach", trunk.stomach, lambda s: s.within(chest).without(bulk, spleen, aorta, gap_mm=2, rounding_mm=6)
    )
    left = placed(trunk.lung(+1)).without(heart, aorta, bulk, gap_mm=3)
    left = left.without(placed(trunk.diaphragm_left()), gap_mm=3, rounding_mm=6)
    right = placed(trunk.lung(-1)).without(heart, cava, gap_mm=3).without(bulk, gap_mm=4, rounding_mm=4)
    organs = {
        "spine": placed(trunk.spine()),
        "ribs": placed(trunk.ribs()),
        "vena cava": cava,
        "aorta": aorta.without(heart),
        "gallbladder": gallbladder,
        "liver": the_liver,
        **kidneys,
        "spleen": spleen,
        "stomach": stomach,
        # These two give way to whatever they touch when voxels are claimed.
        "duodenum": placed(trunk.duodenum()),
        "pancreas": fitted("pancreas", trunk.pancreas, lambda s: s),
        "heart": heart,
        "lung left": left,
        "lung right": right,
        "trachea": placed(trunk.trachea()),
        "thyroid": fitted("thyroid", trunk.thyroid, lambda s: s.without(placed(trunk.trachea()), gap_mm=1)),
    }
    return Body(frame.size, organs, _layers(frame), _fissures(random))


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """From the reference frame to the patient's, and what each organ is to measure there."""

    size: Size
    volumes_ml: Mapping[str, float]

    def placed(self, solid: Solid) -> Solid:
        return solid.scaled(self.size, (0, 0, 0))

    def fitted(self, name: str, make: Callable[[], Solid], cut: Callable[[Solid], Solid]) -> Solid:
        """Scaled about its middle, cut by its neighbours, until it has its volume."""
        whole = self.placed(make())
        centre = (whole.low + whole.high) / 2
        return fit(lambda s: cut(whole.scaled(s, centre)), self.volumes_ml[name], name)


def _volumes_ml(settings: PatientSettings) -> dict[str, float]:
    """Volumes of organs but lungs, by reference mass and density; the liver's as stated."""
    mass = {name: g * settings.anatomy.size**3 for name, g in reference_masses_g(settings.anatomy.sex).items()}
    if settings.anatomy.cirrhosis:
        mass["liver"] *= CIRRHOTIC_LIVER
        mass["spleen"] *= CIRRHOTIC_SPLEEN
    found = {name: g / density_of(name) for name, g in mass.items() if not name.startswith("lung")}
    if settings.anatomy.liver_ml is not None:
        found["liver"] = settings.anatomy.liver_ml
    return found


def _layers(frame: _Frame) -> dict[str, Solid]:
    return {
        "body": frame.placed(trunk.trunk()),
        "beneath skin": frame.placed(trunk.trunk(trunk.SKIN_MM)),
        "beneath fat": frame.placed(trunk.trunk(trunk.FAT_MM + trunk.SKIN_MM)),
        "cavity": frame.placed(trunk.cavity()),
    }


def _fissures(random: np.random.Generator) -> Fissures:
    return Fissures(
        left_deg=-4.0 + random.normal(0, 2.5),
        middle_deg=liver.cantlie_deg(),
        right_deg=85.0 + random.normal(0, 4.0),
        portal_mm=-13.0 + random.normal(0, 3.0),
    )


def fit(
    make: Callable[[float], Solid], target_ml: float, name: str, *, limits: tuple[float, float] = (0.4, 2.0)
) -> Solid:
    """Solid whose scale gives the volume asked for.

    Raises
    ------
    InputError
        If no scale within the limits does.
    """
    low, high = limits
    scale = 1.0
    for _ in range(14):
        solid = make(scale)
        # Fine enough for the tolerance, since the border voxels are counted by their covered fraction.
        spacing = float(np.clip(np.cbrt((solid.high - solid.low).prod() / POINTS), 1.5, 5.0))
        got = volume_ml(solid, spacing)
        if abs(got / target_ml - 1) < FIT_TOLERANCE:
            return solid
        low, high = (scale, high) if got < target_ml else (low, scale)
        # Volume goes with the third power, less where neighbours confine it.
        guess = scale * float(np.cbrt(target_ml / max(got, 1e-6)))
        scale = guess if low < guess < high else (low + high) / 2
    raise InputError(f"a {name} of {target_ml:.0f} mL does not fit into this body; ask for another volume or body size")


def density_of(organ: str) -> float:
    """Density in g/mL that the unenhanced CT of an organ stands for."""
    tissue = "kidney" if organ.startswith("kidney") else organ
    calibration = default_calibration()
    return float(np.interp(hounsfield("none")[tissue], calibration.hu, calibration.density_g_ml))


def hu_of(density_g_ml: float, calibration: HuCalibration | None = None) -> float:
    """CT number of a density, the default calibration read backwards."""
    calibration = calibration or default_calibration()
    return float(np.interp(density_g_ml, calibration.density_g_ml, calibration.hu))


def _size(settings: PatientSettings) -> Size:
    x, y, z = (settings.anatomy.size * s for s in SEX_SIZE[settings.anatomy.sex])
    return x, y, z


def _liver(
    settings: PatientSettings,
    random: np.random.Generator,
    size: Size,
    target_ml: float,
    chest: Solid,
    inside: tuple[Solid, Solid],
    kidney: Solid,
) -> tuple[Solid, Solid]:
    """The liver, and its bulk before the neighbours are taken from it: what its other neighbours keep clear of."""
    left_lobe = float(np.clip(random.normal(1.22 if settings.anatomy.cirrhosis else 1.0, 0.07), 0.75, 1.35))
    relief = ripple(1.6, 70.0, random, waves=6)
    whole = plus(liver.outline(left_lobe), relief, 4.0)
    if settings.anatomy.cirrhosis:
        whole = plus(whole, ripple(1.1, 16.0, random, waves=12), 3.0)
    whole = whole.scaled(size, (0, 0, 0))
    centre = np.asarray(liver.CENTRE) * size

    bulk = whole

    def make(scale: float) -> Solid:
        nonlocal bulk
        bulk = whole.scaled(scale, centre).within(chest, rounding_mm=5)
        return bulk.without(*inside, rounding_mm=2).without(kidney, gap_mm=4, rounding_mm=8)

    # The chest confines it: what cannot grow to the side grows downwards.
    return fit(make, target_ml, "liver", limits=(0.55, 1.6)), bulk
