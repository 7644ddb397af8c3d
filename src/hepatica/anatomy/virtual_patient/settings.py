"""What is asked of a virtual patient: anatomy, tumours, CT, treatment. Checked here, at the door."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal, get_args

from hepatica.core.document import INLINE
from hepatica.core.numbers.units import parse_fraction, parse_quantity
from hepatica.core.options import Fraction, Limits, Positive, Text, options
from hepatica.core.options.values import value_class
from hepatica.errors import InputError, UnknownNameError
from hepatica.nuclides import AGENT_NAMES, agent, nuclide, require_carried

Sex = Literal["male", "female"]
Variant = Literal[
    "normal", "replaced left", "replaced right", "replaced both", "accessory left", "accessory right"
]  # fmt: skip
"""Types I to VI of Michels."""

VARIANTS: tuple[str, ...] = get_args(Variant)
NON_TARGETS = ("gastroduodenal", "right gastric", "cystic")
"""Branches into which an agent may flow back."""

DEFAULT_NUCLIDE = "Y-90"
DEFAULT_ADMINISTERED_BQ = {"Y-90": 2.6e9, "Tc-99m": 150e6, "Ho-166": 6e9, "I-131": 2.22e9, "Re-188": 4e9}
"""Where none is given; other nuclides need it."""

MIN_TUMOUR_MM, MAX_TUMOUR_MM = 5.0, 200.0
LIVER_LIMITS_ML = (700.0, 3500.0)
MAX_TUMOURS = 60
MAX_VOXELS = 1e8


@value_class
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
        if not MIN_TUMOUR_MM <= self.diameter_mm <= MAX_TUMOUR_MM:
            raise InputError(
                f"tumour diameter {self.diameter_mm:g} mm: between {MIN_TUMOUR_MM:g} and {MAX_TUMOUR_MM:g} mm"
            )
        if self.segment is not None and self.segment not in range(1, 9):
            raise InputError(f"liver segment {self.segment}: Couinaud's are 1 to 8")
        if not 0 <= self.necrosis <= 0.9:
            raise InputError(f"necrotic share {self.necrosis:g} of a tumour must lie between 0 and 0.9")


def tumour_from_text(text: str) -> Tumour:
    """'45 mm, segment 8, necrosis 20 %', the last two optional.

    >>> tumour_from_text("45 mm, segment 8, necrosis 20 %")
    Tumour(diameter_mm=45.0, segment=8, necrosis=0.2)
    """
    diameter, *more = (part.strip() for part in text.split(","))
    segment, necrosis = None, 0.0
    for part in more:
        word, _, value = part.partition(" ")
        if word == "segment" and value.strip().isdigit():
            segment = int(value)
        elif word == "necrosis":
            necrosis = parse_fraction(value, "`tumours`: necrosis")
        else:
            raise InputError(f"`tumours`: {part!r} should be 'segment 8' or 'necrosis 20 %'")
    return Tumour(parse_quantity(diameter, "mm", "`tumours`"), segment, necrosis)


def tumours_from_texts(texts: Sequence[object]) -> int | tuple[Tumour, ...]:
    """A number of tumours ("3"), or each of them as `tumour_from_text`."""
    first = str(texts[0]).strip()
    if len(texts) == 1 and first.removeprefix("-").isdigit():
        return int(first)
    return tuple(tumour_from_text(str(text)) for text in texts)


def catheters_from_texts(texts: Sequence[object]) -> tuple[str, ...] | dict[str, float]:
    """Branches, or branches with the share of the activity of each: 'segment 6 = 40 %'.

    >>> catheters_from_texts(["segment 5 = 60 %", "segment 6 = 40 %"])
    {'segment 5': 0.6, 'segment 6': 0.4}
    """
    places = [_assigned(str(text), "`catheters`") for text in texts]
    shares = {name: parse_fraction(share, "`catheters`") for name, share in places if share}
    if shares and len(shares) < len(places):
        raise InputError("`catheters`: give a share for every catheter, or for none")
    return shares or tuple(name for name, _ in places)


def reflux_from_texts(texts: Sequence[object]) -> dict[str, float]:
    """Share of the activity that flows back into each branch: 'cystic = 1 %'.

    >>> reflux_from_texts(["cystic = 1 %"])
    {'cystic': 0.01}
    """
    places = [_assigned(str(text), "`reflux`") for text in texts]
    return {name: parse_fraction(share, "`reflux`") for name, share in places}


def _assigned(text: str, option: str) -> tuple[str, str]:
    """'name = share' or 'name'."""
    name, sign, share = (part.strip() for part in text.partition("="))
    if not name or (sign and not share):
        raise InputError(f"{option}: {text!r} should be a branch, or 'branch = share'")
    return name, share


Tumours = Annotated[
    int | Sequence[Tumour],
    Text(tumours_from_texts, "NUMBER, or 'DIAMETER, segment N, necrosis P %' of each", whole=True),
]


@options
class AnatomyOptions:
    """Body, liver and arteries.

    Attributes
    ----------
    sex : {"male", "female"}
        Reference adult of ICRP Publication 89.
    size : float
        Linear size of the body relative to the reference adult.
    liver_ml : float or None
        Volume of the liver with its tumours; the reference adult's, times size cubed, if not given.
    cirrhosis : bool
        Shrunken nodular liver with a large left lobe, and a large spleen (assumed proportions).
    variant : str
        Hepatic arteries after Michels, types I to VI.
    segment_four : {"left", "right"}
        Hepatic artery that gives the branch to segment 4.
    terminals : int
        End branches of the hepatic arterial tree.
    """

    sex: Sex = "male"
    size: Annotated[float, Limits(low=0.7, high=1.4)] = 1.0
    liver_ml: Annotated[float, Limits(low=LIVER_LIMITS_ML[0], high=LIVER_LIMITS_ML[1])] | None = None
    cirrhosis: bool = False
    variant: Variant = "normal"
    segment_four: Literal["left", "right"] = "left"
    terminals: Annotated[int, Limits(low=24, high=5000)] = 300


@options
class VirtualCtOptions:
    """Voxels of the images, and the CT.

    Attributes
    ----------
    spacing_mm : tuple of float
        Voxel size, one number or three: "1 x 1 x 3 mm".
    contrast : {"none", "portal"}
        CT unenhanced, or in the portal-venous phase.
    noise_hu : float
        Standard deviation of the CT's noise.
    neck : bool
        Field up to the thyroid.
    """

    spacing_mm: Annotated[float | tuple[float, float, float], Limits(low=0.5, high=12.0)] = (2.5, 2.5, 2.5)
    contrast: Literal["none", "portal"] = "none"
    noise_hu: Annotated[float, Limits(low=0, high=200)] = 12.0
    neck: bool = False

    def __post_init__(self) -> None:
        given = self.spacing_mm
        axes = (given,) * 3 if isinstance(given, int | float) else tuple(given)
        if len(axes) != 3:
            raise InputError(f"`spacing_mm` is one length or three, not {len(axes)}")
        object.__setattr__(self, "spacing_mm", tuple(float(h) for h in axes))

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size along x, y, z in mm."""
        assert isinstance(self.spacing_mm, tuple)
        return self.spacing_mm


@options
class FlowOptions:
    """How the agent flows and settles.

    Attributes
    ----------
    reflux : mapping of str to float
        Share of the activity that flows back into the gastroduodenal, right gastric or cystic artery.
    spread : float
        How unevenly flow parts at a bifurcation, standard deviation in log odds; 0 is even. An assumption: the default
        gives territories of some millilitres a coefficient of variation of about a third.
    spheres : bool
        Whether the number of microspheres in each voxel is random, for agents whose number of spheres is known.
    cluster : float
        Mean number of microspheres that lodge together.
    """

    reflux: Annotated[Mapping[str, float], Text(reflux_from_texts, "BRANCH = SHARE", whole=True)] = field(
        default_factory=dict
    )
    spread: Annotated[float, Limits(low=0, high=3)] = 0.2
    spheres: bool = True
    cluster: Annotated[float, Limits(low=1, high=1e4)] = 5.0

    def __post_init__(self) -> None:
        for name, share in self.reflux.items():
            if name not in NON_TARGETS:
                raise UnknownNameError("reflux branch", name, NON_TARGETS)
            if not 0 <= share <= 1:
                raise InputError(f"reflux of {share:g} into the {name} artery must lie between 0 and 1")


@options
class Treatment:
    """What was administered, and where the catheter lay.

    Attributes
    ----------
    nuclide : str
        Radionuclide; the agent's if not given, else Y-90.
    agent : str
        Its carrier; the first that carries the nuclide if not given.
    administered_bq : float or None
        Administered activity; without it 2.6 GBq Y-90, 150 MBq Tc-99m, 6 GBq Ho-166, 2.22 GBq I-131, 4 GBq Re-188.
    administered_at : datetime
        Instant of the administration.
    catheters : str, sequence of str, or mapping of str to float
        Branch it was given through, such as "right hepatic", or several with shares; without shares the activity goes
        by the volumes that the branches perfuse.
    lung_shunt : float
        Fraction that reaches the lungs.
    tumour_to_normal : float
        Ratio of mean concentrations, viable tumour to normal liver, within the territory of a catheter.
    flow : FlowOptions
        How the agent flows and settles.

    Raises
    ------
    InputError
        If a number is out of range, shares add up to more than 1, or the agent carries another nuclide.
    UnknownNameError
        If nuclide, agent or reflux branch is not known.
    """

    nuclide: str = ""
    agent: str = ""
    administered_bq: Positive | None = None
    administered_at: datetime = datetime(2026, 3, 2, 10, 15)
    catheters: Annotated[
        str | Sequence[str] | Mapping[str, float],
        Text(catheters_from_texts, "BRANCH, or BRANCH = SHARE", whole=True),
    ] = ("right hepatic",)
    lung_shunt: Fraction = 0.05
    tumour_to_normal: Annotated[float, Limits(low=0, high=1000)] = 4.0
    flow: FlowOptions = field(default=FlowOptions(), metadata=INLINE)

    def __post_init__(self) -> None:
        carrier = agent(self.agent) if self.agent else None
        carried = nuclide(self.nuclide or (carrier.nuclide_name if carrier else DEFAULT_NUCLIDE)).name
        carrier = carrier or agent(agent_for(carried))
        require_carried(carrier, carried)
        object.__setattr__(self, "nuclide", carried)
        object.__setattr__(self, "agent", carrier.name)
        if self.administered_bq is None:
            object.__setattr__(self, "administered_bq", DEFAULT_ADMINISTERED_BQ.get(carried))
        if isinstance(self.catheters, str):
            object.__setattr__(self, "catheters", (self.catheters,))
        if not self.catheters:
            raise InputError("no catheter position is given", remedy="name a branch in `catheters`: 'right hepatic'")
        if isinstance(self.catheters, Mapping):
            _check_shares(self.catheters)
        else:
            object.__setattr__(self, "catheters", tuple(self.catheters))
        outside = self.lung_shunt + math.fsum(self.flow.reflux.values())
        if outside > 1:
            raise InputError(f"`lung_shunt` and `reflux` add up to {outside:.4g}; they cannot exceed 1")

    @property
    def activity_bq(self) -> float:
        """Administered activity.

        Raises
        ------
        InputError
            If it is not given and the nuclide has no usual one.
        """
        self.require_administered()
        assert self.administered_bq is not None
        return self.administered_bq

    def require_administered(self) -> None:
        """InputError unless the administered activity is given, or the nuclide has a usual one."""
        if self.administered_bq is None:
            raise InputError(f"no administered activity of {self.nuclide} is given", remedy="state `administered_bq`")


def agent_for(nuclide_name: str) -> str:
    """Name of the first agent, in the order of the agents' table, that carries a nuclide.

    Raises
    ------
    InputError
        If none does.
    """
    for name in AGENT_NAMES:
        if agent(name).nuclide_name == nuclide_name:
            return name
    raise InputError(f"no agent carries {nuclide_name}", remedy="state `agent`")


@options
class PatientSettings:
    """Everything that makes one virtual patient; the same settings give the same patient, bit by bit.

    Attributes
    ----------
    seed : int
        Of everything random: outline, places, arteries, spread, noise.
    tumours : int or sequence of Tumour
        How many, placed at random, or each: "45 mm, segment 8, necrosis 20 %".
    anatomy : AnatomyOptions
        Body, liver and arteries.
    ct : VirtualCtOptions
        Voxels and CT.
    treatment : Treatment
        What was administered.
    """

    seed: Annotated[int, Limits(low=0)] = 7
    tumours: Tumours = 3
    anatomy: AnatomyOptions = field(default=AnatomyOptions(), metadata=INLINE)
    ct: VirtualCtOptions = field(default=VirtualCtOptions(), metadata=INLINE)
    treatment: Treatment = Treatment()

    def __post_init__(self) -> None:
        if isinstance(self.tumours, int):
            if not 0 <= self.tumours <= MAX_TUMOURS:
                raise InputError(f"{self.tumours} tumours: between 0 and {MAX_TUMOURS}")
        else:
            object.__setattr__(self, "tumours", tuple(self.tumours))


def _check_shares(shares: Mapping[str, float]) -> None:
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise InputError(f"share {share:g} of the catheter in {name!r} must lie between 0 and 1")
    total = math.fsum(shares.values())
    if abs(total - 1) > 1e-6:
        raise InputError(f"the catheters' shares of the activity add up to {total:.6g}; they must add up to 1")
