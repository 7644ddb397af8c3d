"""The hepatic arteries: named trunks after Michels' variants, grown into each segment, with what each branch feeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.virtual_patient.body import Body
from hepatica.anatomy.virtual_patient.lattice import Lattice
from hepatica.anatomy.virtual_patient.settings import PatientSettings
from hepatica.anatomy.virtual_patient.vessels.constructive_optimisation import Growth, spread_points
from hepatica.errors import UnknownNameError

Float = NDArray[np.float64]

LIVER_DIAMETER_MM = 3.44
"""Of an artery with the flow of the whole liver: Murray's sum of right 2.92 mm and left 2.51 mm (mean diameters
of classical anatomy in 500 CT studies: Bilir et al., Int J Morphol)."""

NON_TARGET_FLOW: Mapping[str, float] = {"gastroduodenal": 0.95, "right gastric": 0.03, "cystic": 0.02}
"""Flow relative to the liver's. Gastroduodenal: what makes the common hepatic artery 4.3 mm wide (same source) by
Murray's law; the two small ones are assumptions."""

MIN_ENDS = 2
"""In the smallest segment."""

RIGHT, LEFT = (5, 6, 7, 8), (2, 3)
SECTORS: Mapping[str, tuple[int, int]] = {"right anterior": (5, 8), "right posterior": (6, 7)}

# Reference frame, mm.
CELIAC = ((18.0, 12.0, -26.0), (14.0, 2.0, -30.0))
FORK = (-8.0, -12.0, -36.0)
GASTRIC_FORK = (-17.0, -15.0, -29.0)
HILUM = (-28.0, -16.0, -21.0)
MESENTERIC = ((16.0, 10.0, -40.0), (12.0, 0.0, -50.0))
BEHIND_PORTAL = (-22.0, 2.0, -36.0)
LEFT_GASTRIC = ((16.0, 4.0, -22.0), (26.0, -4.0, 8.0))
FISSURE = (4.0, -18.0, 8.0)


@dataclass(frozen=True, slots=True)
class TreeStatistics:
    """Numbers that describe a tree; generations are bifurcations from the trunk to an end."""

    branches: int
    end_branches: int
    total_length_mm: float
    total_volume_ml: float
    generations_mean: float
    generations_most: int
    end_diameter_mm: float
    murray_exponent: float


@dataclass(frozen=True, slots=True, eq=False)
class ArterialTree:
    """Branches as straight pieces.

    Attributes
    ----------
    start_mm, end_mm : ndarray, shape (n, 3)
        In LPS.
    parent : ndarray of int, shape (n,)
        Number of the branch that feeds it; -1 where a trunk leaves aorta or a neighbour's artery.
    flow : ndarray, shape (n,)
        Relative to the liver's arterial flow.
    radius_mm : ndarray, shape (n,)
        By Murray's law: radius cubed goes with flow.
    segment : ndarray of uint8, shape (n,)
        Couinaud segment that it feeds; 0 for trunks.
    labels : tuple of str
        Name of each branch; empty for most.
    ends : ndarray of int
        Branches that end in the liver, in the order of the territories.
    """

    start_mm: Float
    end_mm: Float
    parent: NDArray[np.int64]
    flow: Float
    radius_mm: Float
    segment: NDArray[np.uint8]
    labels: tuple[str, ...]
    ends: NDArray[np.int64]

    @property
    def names(self) -> tuple[str, ...]:
        """Branches that feed the liver and can be named as a catheter's place."""
        return tuple(name for name in self.labels if name and name not in NON_TARGET_FLOW)

    def branch(self, name: str) -> int:
        """Number of a branch by name: "right hepatic", "segment 6".

        Raises
        ------
        UnknownNameError
            If this patient has no such artery; the message lists those there are.
        """
        wanted = name.strip().lower().removesuffix(" artery").removesuffix(" hepatic branch")
        if wanted not in self.names:
            raise UnknownNameError("hepatic artery", name, self.names)
        return self.labels.index(wanted)

    def below(self, branch: int) -> NDArray[np.bool_]:
        """Which branches a branch feeds, itself included, shape (n,)."""
        fed = np.zeros(len(self.parent), dtype=bool)
        fed[branch] = True
        # Parents may have higher numbers than their children.
        while True:
            more = fed | ((self.parent >= 0) & fed[self.parent])
            if (more == fed).all():
                return fed
            fed = more

    def ends_of(self, name: str) -> NDArray[np.int64]:
        """Places in `ends` of the end branches that a named branch feeds."""
        return np.flatnonzero(self.below(self.branch(name))[self.ends])

    def children(self) -> dict[int, list[int]]:
        """Branches fed directly by each; under -1 the trunks."""
        out: dict[int, list[int]] = {}
        for n, parent in enumerate(self.parent.tolist()):
            out.setdefault(parent, []).append(n)
        return out

    def statistics(self) -> TreeStatistics:
        """Numbers that describe the tree."""
        length = np.linalg.norm(self.end_mm - self.start_mm, axis=1)
        depth = np.zeros(len(self.parent), dtype=int)
        order = list(self.children()[-1])
        children = self.children()
        for n in order:
            for child in children.get(n, ()):
                depth[child] = depth[n] + 1
                order.append(child)
        return TreeStatistics(
            branches=len(self.parent),
            end_branches=len(self.ends),
            total_length_mm=float(length.sum()),
            total_volume_ml=float((np.pi * self.radius_mm**2 * length).sum() / 1000),
            generations_mean=float(depth[self.ends].mean()),
            generations_most=int(depth[self.ends].max()),
            end_diameter_mm=float(2 * self.radius_mm[self.ends].mean()),
            murray_exponent=3.0,
        )

    def __repr__(self) -> str:
        return f"<ArterialTree {len(self.parent)} branches, {len(self.ends)} ends; {', '.join(self.names)}>"


class _Builder:
    """Collects branches."""

    def __init__(self, body: Body) -> None:
        self._size = np.asarray(body.size)
        self.start: list[Float] = []
        self.end: list[Float] = []
        self.parent: list[int] = []
        self.segment: list[int] = []
        self.label: list[str] = []
        self.own_flow: dict[int, float] = {}
        self.ends: list[int] = []

    def place(self, point: Iterable[float]) -> Float:
        return np.asarray(np.asarray(tuple(point), dtype=np.float64) * self._size)

    def add(self, parent: int, *points: Float, name: str = "", segment: int = 0) -> int:
        """Pieces through points, from the end of `parent` (from the first point if -1); number of the last."""
        path = list(points) if parent < 0 else [self.end[parent], *points]
        for n, (a, b) in enumerate(pairwise(path)):
            self.start.append(a)
            self.end.append(b)
            self.parent.append(parent)
            self.segment.append(segment)
            self.label.append(name if n == 0 else "")
            parent = len(self.end) - 1
        return parent

    def graft(self, parent: int, growth: Growth, segment: int) -> None:
        offset = len(self.end)
        for a, b, above in zip(growth.starts(), growth.end, growth.parent, strict=True):
            self.start.append(np.asarray(a))
            self.end.append(b)
            self.parent.append(parent if above < 0 else above + offset)
            self.segment.append(segment)
            self.label.append("")
        fed = set(growth.parent)
        self.ends.extend(offset + n for n in range(len(growth.end)) if n not in fed)

    def tree(self) -> ArterialTree:
        parent = np.array(self.parent, dtype=np.int64)
        flow = np.zeros(len(parent))
        sources = {**{n: 1 / len(self.ends) for n in self.ends}, **self.own_flow}
        for n, amount in sources.items():
            at = n
            while at >= 0:
                flow[at] += amount
                at = int(parent[at])
        return ArterialTree(
            start_mm=np.array(self.start),
            end_mm=np.array(self.end),
            parent=parent,
            flow=flow,
            radius_mm=LIVER_DIAMETER_MM / 2 * np.cbrt(flow),
            segment=np.array(self.segment, dtype=np.uint8),
            labels=tuple(self.label),
            ends=np.array(self.ends, dtype=np.int64),
        )


def grow_arteries(body: Body, lattice: Lattice, settings: PatientSettings, random: np.random.Generator) -> ArterialTree:
    """Trunks of the variant, then each segment's tree by constrained constructive optimisation."""
    build = _Builder(body)
    feeding = _trunks(build, lattice, settings)
    shares = {s: lattice.volume_ml(s) / lattice.volume_ml() for s in range(1, 9)}
    for segment in range(1, 9):
        if not shares[segment]:
            continue
        above = feeding[segment]
        points = lattice.points_mm[lattice.segments == segment]
        entry = lattice.snapped(0.6 * build.end[above] + 0.4 * lattice.centroid(segment), segment, depth_mm=3.0)
        trunk = build.add(above, entry, name=f"segment {segment}", segment=segment)
        number = min(max(MIN_ENDS, round(settings.anatomy.terminals * shares[segment])), len(points))
        deep = points[lattice.depth_at(points) > 1.5]
        ends = spread_points(deep if len(deep) > number else points, number, random)
        # The far ends first: they make the trunks that the near ones join.
        ends = ends[np.argsort(-np.linalg.norm(ends - entry, axis=1), kind="stable")]
        reachable = ends[np.linalg.norm(ends - entry, axis=1) > 1.0]
        build.graft(trunk, Growth(entry, lattice).grow(reachable), segment)
    return build.tree()


def _trunks(build: _Builder, lattice: Lattice, settings: PatientSettings) -> dict[int, int]:
    """Named trunks; which trunk feeds each segment."""
    at, variant = build.place, settings.anatomy.variant
    replaced_right = variant in ("replaced right", "replaced both")
    replaced_left = variant in ("replaced left", "replaced both")
    common = build.add(-1, *(at(p) for p in CELIAC), at(FORK), name="common hepatic")
    below = build.add(common, at((-14, -24, -52)), at((-26, -28, -74)), name="gastroduodenal")
    build.own_flow[below] = NON_TARGET_FLOW["gastroduodenal"]
    proper = build.add(common, at(GASTRIC_FORK), name="proper hepatic")
    gastric = build.add(proper, at((2, -34, -34)), at((30, -44, -26)), name="right gastric")
    build.own_flow[gastric] = NON_TARGET_FLOW["right gastric"]
    hilum = build.add(proper, at(HILUM))
    feeding: dict[int, int] = {}

    from_behind = -1
    if replaced_right or variant == "accessory right":
        name = "replaced right hepatic" if replaced_right else "accessory right hepatic"
        from_behind = build.add(-1, *(at(p) for p in MESENTERIC), at(BEHIND_PORTAL), name=name)
    _right(build, lattice, settings, from_behind if replaced_right else hilum, feeding)
    if variant == "accessory right":
        _accessory_right(build, lattice, from_behind, feeding)

    from_stomach = -1
    if replaced_left or variant == "accessory left":
        name = "replaced left hepatic" if replaced_left else "accessory left hepatic"
        from_stomach = build.add(-1, *(at(p) for p in LEFT_GASTRIC), at(FISSURE), name=name)
    _left(build, lattice, settings, from_stomach if replaced_left else hilum, feeding)
    if variant == "accessory left":
        feeding[2] = from_stomach
    for segment in (1, 4):
        # Where both lobes' arteries come from elsewhere the proper hepatic artery feeds what is left.
        feeding.setdefault(segment, hilum)
    return feeding


def _right(build: _Builder, lattice: Lattice, settings: PatientSettings, source: int, feeding: dict[int, int]) -> None:
    replaced = build.label[source].startswith("replaced") or build.label[build.parent[source]].startswith("replaced")
    middle = lattice.centroid(*RIGHT)
    first = lattice.snapped(0.75 * build.end[source] + 0.25 * middle, *RIGHT, 4, depth_mm=2.0)
    trunk = build.add(source, first, name="" if replaced else "right hepatic")
    cystic = build.add(trunk, build.place((-46, -22, -32)), name="cystic")
    build.own_flow[cystic] = NON_TARGET_FLOW["cystic"]
    if settings.anatomy.segment_four == "right":
        feeding[4] = trunk
    fork = build.add(trunk, lattice.snapped(0.45 * first + 0.55 * middle, *RIGHT))
    accessory = settings.anatomy.variant == "accessory right"
    for name, segments in SECTORS.items():
        if accessory and name == "right posterior":
            continue
        node = lattice.snapped(0.6 * build.end[fork] + 0.4 * lattice.centroid(*segments), *segments)
        sector = build.add(fork, node, name=name)
        feeding.update(dict.fromkeys(segments, sector))


def _accessory_right(build: _Builder, lattice: Lattice, source: int, feeding: dict[int, int]) -> None:
    segments = SECTORS["right posterior"]
    node = lattice.snapped(0.5 * build.end[source] + 0.5 * lattice.centroid(*segments), *segments)
    sector = build.add(source, node, name="right posterior")
    feeding.update(dict.fromkeys(segments, sector))


def _left(build: _Builder, lattice: Lattice, settings: PatientSettings, source: int, feeding: dict[int, int]) -> None:
    replaced = build.label[source].startswith("replaced") or build.label[build.parent[source]].startswith("replaced")
    middle = lattice.centroid(*LEFT)
    if replaced:
        trunk = source
    else:
        trunk = build.add(source, build.place((-18, -16, -13)), name="left hepatic")
        feeding[1] = trunk
    if settings.anatomy.segment_four == "left" and not replaced:
        node = lattice.snapped(0.6 * build.end[trunk] + 0.4 * 0.5 * (middle + lattice.centroid(4)), 2, 3, 4)
        trunk = build.add(trunk, node)
        feeding[4] = trunk
    fork = build.add(trunk, lattice.snapped(0.55 * build.end[trunk] + 0.45 * middle, *LEFT))
    feeding.update(dict.fromkeys(LEFT, fork))
