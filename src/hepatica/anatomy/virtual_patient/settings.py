"""What is asked of a virtual patient: size, liver, arteries, tumours, CT, treatment. Checked here, at the door."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hepatica.errors import InputError, UnknownNameError
from hepatica.nuclides import agent, nuclide

SEXES = ("male", "female")
VARIANTS = (
    "normal",
    "replaced left",
    "replaced right",
    "replaced both",
    "accessory left",
    "accessory right",
)
"""Types I to VI of Michels."""

CONTRASTS = ("none", "portal")
NON_TARGETS = ("gastroduodenal", "right gastric", "cystic")
"""Branches into which an agent may flow back."""

SPACING_LIMITS_MM = (0.5, 12.0)
SMALLEST_TUMOUR_MM, LARGEST_TUMOUR_MM = 5.0, 200.0
LIVER_LIMITS_ML = (700.0, 3500.0)
MOST_TUMOURS = 60
MOST_VOXELS = 1e8


@dataclass(frozen=True, slots=True)
class Tumour:
    """A tumour to be placed.

    Parameters
    ----------
    diameter_mm : float
        Of the sphere of the same volume.
    segment : int or None
        Couinaud segment 1 to 8 in which its centre lies; any if None.
    necrosis : float
        Share of its volume that is necrotic and not perfused, 0 to 0.9.

    Raises
    ------
    InputError
        If a number is out of range.
    """

    diameter_mm: float
    segment: int | None = None
    necrosis: float = 0.0

    def __post_init__(self) -> None:
        if not SMALLEST_TUMOUR_MM <= self.diameter_mm <= LARGEST_TUMOUR_MM:
            raise InputError(
                f"tumour diameter {self.diameter_mm:g} mm: between {SMALLEST_TUMOUR_MM:g} and {LARGEST_TUMOUR_MM:g} mm"
            )
        if self.segment is not None and self.segment not in range(1, 9):
            raise InputError(f"liver segment {self.segment}: Couinaud's are 1 to 8")
        if not 0 <= self.necrosis <= 0.9:
            raise InputError(f"necrotic share {self.necrosis:g} of a tumour must lie between 0 and 0.9")


@dataclass(frozen=True, slots=True)
class Treatment:
    """What was given, where the catheter lay, and how it spread.

    Parameters
    ----------
    nuclide : str
        By any name that `hepatica.nuclides.nuclide` takes.
    agent : str
        By any name that `hepatica.nuclides.agent` takes. It must carry the nuclide.
    activity_bq : float
        Administered, at `administered_at`.
    administered_at : datetime
        Instant of administration.
    catheters : str, sequence of str, or mapping of str to float
        Branches from which it was given ("right hepatic", "segment 6"), with the share of the activity of each; from
        names alone, shares go by the volumes that the branches perfuse.
    lung_shunt : float
        Share of the activity that reaches the lungs.
    tumour_to_normal : float
        Ratio of mean activity concentrations, viable tumour to normal liver, within the territory of a catheter.
    reflux : mapping of str to float
        Share of the activity that goes into "gastroduodenal", "right gastric" or "cystic" branches.
    spread : float
        Standard deviation, in log odds, of how unevenly flow parts at a bifurcation; 0 spreads evenly. Default: an
        assumption, it gives territories of some millilitres a coefficient of variation of about a third.
    spheres : bool
        Whether the number of microspheres in each voxel is random (agents whose number of spheres is known).
    cluster : float
        Mean number of microspheres that lodge together.

    Raises
    ------
    InputError
        If a number is out of range, shares add up to more than 1, or the agent carries another nuclide.
    UnknownNameError
        If nuclide, agent or reflux branch is not known.
    """

    nuclide: str = "Y-90"
    agent: str = "glass"
    activity_bq: float = 2.6e9
    administered_at: datetime = datetime(2026, 3, 2, 10, 15)
    catheters: str | Sequence[str] | Mapping[str, float] = ("right hepatic",)
    lung_shunt: float = 0.05
    tumour_to_normal: float = 4.0
    reflux: Mapping[str, float] = field(default_factory=dict)
    spread: float = 0.2
    spheres: bool = True
    cluster: float = 5.0

    def __post_init__(self) -> None:
        carried, wanted = agent(self.agent), nuclide(self.nuclide)
        if carried.nuclide_name != wanted.name:
            raise InputError(f"{carried.name} carries {carried.nuclide_name}, not {wanted.name}")
        object.__setattr__(self, "nuclide", wanted.name)
        object.__setattr__(self, "agent", carried.name)
        _positive(self.activity_bq, "administered activity", "Bq")
        if isinstance(self.catheters, str):
            object.__setattr__(self, "catheters", (self.catheters,))
        if not self.catheters:
            raise InputError("no catheter position is given; name at least one branch, such as 'right hepatic'")
        if isinstance(self.catheters, Mapping):
            _check_shares(self.catheters)
        else:
            object.__setattr__(self, "catheters", tuple(self.catheters))
        _fraction(self.lung_shunt, "lung shunt")
        for name, share in self.reflux.items():
            if name not in NON_TARGETS:
                raise UnknownNameError("reflux branch", name, NON_TARGETS)
            _fraction(share, f"reflux into the {name} artery")
        outside = self.lung_shunt + math.fsum(self.reflux.values())
        if outside > 1:
            raise InputError(f"lung shunt and reflux add up to {outside:.4g}; they cannot exceed 1")
        if not (math.isfinite(self.tumour_to_normal) and 0 <= self.tumour_to_normal <= 1000):
            raise InputError(f"tumour-to-normal ratio {self.tumour_to_normal:g} must lie between 0 and 1000")
        if not 0 <= self.spread <= 3:
            raise InputError(f"spread of flow at bifurcations {self.spread:g} must lie between 0 and 3")
        if not 1 <= self.cluster <= 1e4:
            raise InputError(f"mean cluster of {self.cluster:g} microspheres must lie between 1 and 10 000")

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        catheters = dict(self.catheters) if isinstance(self.catheters, Mapping) else list(self.catheters)
        return {
            "nuclide": self.nuclide,
            "agent": self.agent,
            "activity_bq": self.activity_bq,
            "administered_at": self.administered_at.isoformat(),
            "catheters": catheters,
            "lung_shunt": self.lung_shunt,
            "tumour_to_normal": self.tumour_to_normal,
            "reflux": dict(self.reflux),
            "spread_log_odds": self.spread,
            "spheres_random": self.spheres,
            "cluster_spheres": self.cluster,
        }


@dataclass(frozen=True, slots=True)
class PatientSettings:
    """Everything that makes one virtual patient; the same settings give the same patient, bit by bit.

    Parameters
    ----------
    seed : int
        Of everything random: outline, places, arteries, spread, noise.
    sex : {"male", "female"}
        Reference body and organ masses (ICRP Publication 89).
    spacing_mm : float or three
        Voxel size of the default field; see also `virtual_patient`'s `grid`.
    size : float
        Linear size of the body relative to the reference, 0.7 to 1.4.
    liver_ml : float or None
        Volume of the liver, tumours included; the reference (times size cubed) if None.
    tumours : int or sequence of Tumour
        How many to place with random size, segment and necrosis, or which.
    cirrhosis : bool
        Shrunken nodular liver with a large left lobe, and a large spleen (assumed proportions).
    variant : str
        Hepatic arteries after Michels; one of `VARIANTS`.
    segment_four : {"left", "right"}
        Which artery gives the branch to segment 4.
    terminals : int
        End branches of the hepatic arterial tree.
    contrast : {"none", "portal"}
        CT unenhanced, or in the portal-venous phase.
    noise_hu : float
        Standard deviation of the CT's noise in HU.
    neck : bool
        Whether the default field reaches up to the thyroid.
    treatment : Treatment
        What was given.

    Raises
    ------
    InputError
        If a number is out of range.
    UnknownNameError
        If sex, variant or contrast is not known.
    """

    seed: int = 7
    sex: str = "male"
    spacing_mm: float | tuple[float, float, float] = 2.5
    size: float = 1.0
    liver_ml: float | None = None
    tumours: int | Sequence[Tumour] = 3
    cirrhosis: bool = False
    variant: str = "normal"
    segment_four: str = "left"
    terminals: int = 300
    contrast: str = "none"
    noise_hu: float = 12.0
    neck: bool = False
    treatment: Treatment = field(default_factory=Treatment)

    def __post_init__(self) -> None:
        for what, name, known in (
            ("sex", self.sex, SEXES),
            ("arterial variant", self.variant, VARIANTS),
            ("artery of segment 4", self.segment_four, ("left", "right")),
            ("contrast phase", self.contrast, CONTRASTS),
        ):
            if name not in known:
                raise UnknownNameError(what, name, known)
        if self.seed < 0:
            raise InputError(f"seed {self.seed} must not be negative")
        low, high = SPACING_LIMITS_MM
        if not all(low <= h <= high for h in self.spacing):
            raise InputError(
                f"voxel size {self.spacing_mm} mm must lie between {low:g} and {high:g} mm along each axis"
            )
        if not 0.7 <= self.size <= 1.4:
            raise InputError(f"body size {self.size:g} times the reference must lie between 0.7 and 1.4")
        if self.liver_ml is not None and not LIVER_LIMITS_ML[0] <= self.liver_ml <= LIVER_LIMITS_ML[1]:
            raise InputError(
                f"liver of {self.liver_ml:g} mL must lie between {LIVER_LIMITS_ML[0]:g} and {LIVER_LIMITS_ML[1]:g} mL"
            )
        if isinstance(self.tumours, int):
            if not 0 <= self.tumours <= MOST_TUMOURS:
                raise InputError(f"{self.tumours} tumours: between 0 and {MOST_TUMOURS}")
        else:
            object.__setattr__(self, "tumours", tuple(self.tumours))
        if not 24 <= self.terminals <= 5000:
            raise InputError(f"{self.terminals} end branches of the arterial tree: between 24 and 5000")
        if not 0 <= self.noise_hu <= 200:
            raise InputError(f"noise of {self.noise_hu:g} HU must lie between 0 and 200 HU")

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size along x, y, z in mm."""
        if isinstance(self.spacing_mm, int | float):
            return (float(self.spacing_mm),) * 3
        i, j, k = (float(h) for h in self.spacing_mm)
        return i, j, k

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        tumours: Any = self.tumours
        if not isinstance(tumours, int):
            tumours = [
                {"diameter_mm": t.diameter_mm, "segment": t.segment, "necrotic_share": t.necrosis} for t in tumours
            ]
        return {
            "seed": self.seed,
            "sex": self.sex,
            "spacing_mm": list(self.spacing),
            "size": self.size,
            "liver_ml": self.liver_ml,
            "tumours": tumours,
            "cirrhosis": self.cirrhosis,
            "variant": self.variant,
            "segment_four": self.segment_four,
            "terminals": self.terminals,
            "contrast": self.contrast,
            "noise_hu": self.noise_hu,
            "neck": self.neck,
            "treatment": self.treatment.as_dict(),
        }


def _positive(value: float, what: str, unit: str) -> None:
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{what} must be positive, not {value:g} {unit}")


def _fraction(value: float, what: str) -> None:
    if not 0 <= value <= 1:
        raise InputError(f"{what} {value:g} must lie between 0 and 1")


def _check_shares(shares: Mapping[str, float]) -> None:
    for name, share in shares.items():
        _fraction(share, f"share of the catheter in {name!r}")
    total = math.fsum(shares.values())
    if abs(total - 1) > 1e-6:
        raise InputError(f"the catheters' shares of the activity add up to {total:.6g}; they must add up to 1")
