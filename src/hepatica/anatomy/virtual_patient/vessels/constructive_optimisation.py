"""Constrained constructive optimisation: an arterial tree grown branch by branch, each where it adds least volume.

After Schreiner and Buxbaum (IEEE Trans Biomed Eng 1993;40:482) and, in three dimensions, Karch et al. (Comput Biol Med
1999;29:19): end branches of equal flow are added one after the other; each is joined to that of its near neighbours,
at that point, which makes the volume of the whole tree smallest, and never outside the organ. Two choices differ from
theirs. Radii follow Murray's law with exponent 3 throughout (r cubed goes with flow: equal wall shear stress) and not
from equal pressures at the ends. End points are spread evenly beforehand (Lloyd), so that equal flow means equal
volume.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.virtual_patient.lattice import Lattice

Float = NDArray[np.float64]
Int = NDArray[np.int64]

MURRAY_EXPONENT = 3.0
NEIGHBOURS = 14
"""Branches that a new end may be joined to: those that pass nearest to it."""

SEARCH_STEPS = 10
CHECKS = 7
"""Points along a branch at which it must lie in the organ."""

SHORTEST_MM = 0.4
LLOYD_ROUNDS = 6
RELAX_ROUNDS = 12
SURFACE_MM = 0.3
"""Branches keep this deep below the surface."""


def spread_points(points_mm: Float, number: int, random: np.random.Generator) -> Float:
    """`number` of the points, evenly spread: each stands for about the same share of them (Lloyd's algorithm)."""
    from scipy.spatial import cKDTree

    chosen = points_mm[random.choice(len(points_mm), size=number, replace=False)]
    sample = points_mm[random.permutation(len(points_mm))[: max(60 * number, 2000)]]
    for _ in range(LLOYD_ROUNDS):
        owner = cKDTree(chosen).query(sample)[1]
        count = np.bincount(owner, minlength=number)
        sums = np.stack([np.bincount(owner, sample[:, n], minlength=number) for n in range(3)], axis=1)
        chosen = np.where(count[:, None] > 0, sums / np.maximum(count, 1)[:, None], chosen)
    # Back into the organ where a centre fell outside; two ends never share a point.
    nearest = np.unique(cKDTree(points_mm).query(chosen)[1])
    missing = number - len(nearest)
    if missing:
        rest = np.setdiff1d(np.arange(len(points_mm)), nearest)
        nearest = np.append(nearest, random.choice(rest, size=missing, replace=False))
    return np.asarray(points_mm[nearest])


@dataclass
class Growth:
    """A tree while it grows: branch n runs from the end of its parent (from `root_mm` for the first) to `end[n]`.

    Attributes
    ----------
    root_mm : ndarray, shape (3,)
        Where the first branch starts.
    lattice : Lattice
        The organ.
    end : list of ndarray
        End points, mm.
    parent : list of int
        -1 for the first branch.
    load : list of int
        End branches that each feeds.
    """

    root_mm: Float
    lattice: Lattice
    end: list[Float] = field(default_factory=list)
    parent: list[int] = field(default_factory=list)
    load: list[int] = field(default_factory=list)

    def grow(self, ends_mm: Float) -> Growth:
        """Add end branches in the order given; ends that no branch can reach inside the organ are left out."""
        root = np.broadcast_to(self.root_mm, ends_mm.shape)
        straight = np.flatnonzero(self._inside(root, ends_mm))
        first = int(straight[0]) if straight.size else int(np.linalg.norm(ends_mm - self.root_mm, axis=1).argmin())
        self._append(ends_mm[first], -1, 1)
        waiting = [point for n, point in enumerate(ends_mm) if n != first]
        while waiting:
            left = [point for point in waiting if not self._join(point)]
            if len(left) == len(waiting):
                break
            waiting = left
        self._relax()
        return self

    def starts(self) -> Float:
        """Start of each branch, shape (n, 3)."""
        end = np.array(self.end)
        parent = np.array(self.parent)
        return np.asarray(np.where(parent[:, None] < 0, self.root_mm, end[parent]))

    def _append(self, end: Float, parent: int, load: int) -> int:
        self.end.append(np.asarray(end, dtype=np.float64))
        self.parent.append(parent)
        self.load.append(load)
        return len(self.end) - 1

    def _path_cost(self) -> Float:
        """Volume that one more end adds on the way from the root to the start of each branch."""
        end, start = np.array(self.end), self.starts()
        load = np.array(self.load, dtype=np.float64)
        own = np.linalg.norm(end - start, axis=1) * (_area(load + 1) - _area(load))
        cost = np.zeros(len(end))
        for n in self._downwards():
            if self.parent[n] >= 0:
                cost[n] = cost[self.parent[n]] + own[self.parent[n]]
        return cost

    def _downwards(self) -> list[int]:
        """Branches in an order in which a parent comes before its children."""
        children: dict[int, list[int]] = {}
        for n, parent in enumerate(self.parent):
            children.setdefault(parent, []).append(n)
        order = list(children[-1])
        for n in order:
            order.extend(children.get(n, ()))
        return order

    def _join(self, point: Float) -> bool:
        """Add one end branch; False if every way there leaves the organ."""
        end, start, load = np.array(self.end), self.starts(), np.array(self.load, dtype=np.float64)
        near = np.argsort(_distance(point, start, end))[:NEIGHBOURS]
        a, b = start[near], end[near]
        c = np.broadcast_to(point, a.shape)
        weights = np.stack([_area(load[near] + 1), _area(load[near]), np.ones(len(near))])
        at = _fermat(np.stack([a, b, c]), weights)
        lengths = np.linalg.norm(np.stack([a, b, c]) - at, axis=2)
        cost = (weights * lengths).sum(axis=0) - weights[1] * np.linalg.norm(b - a, axis=1)
        cost = cost + self._path_cost()[near]
        cost = np.where((lengths.min(axis=0) < SHORTEST_MM) | ~self._inside(at, a, b, c), np.inf, cost)
        best = int(np.argmin(cost))
        if not np.isfinite(cost[best]):
            return False
        self._split(int(near[best]), at[best], point)
        return True

    def _split(self, branch: int, at: Float, point: Float) -> None:
        """Part a branch at a point and add an end there; the part nearer the root keeps the branch's number."""
        below = self._append(self.end[branch], branch, self.load[branch])
        for n, parent in enumerate(self.parent):
            if parent == branch and n != below:
                self.parent[n] = below
        self.end[branch] = np.asarray(at)
        self._append(point, branch, 1)
        upwards = branch
        while upwards >= 0:
            self.load[upwards] += 1
            upwards = self.parent[upwards]

    def _inside(self, at: Float, *others: Float) -> NDArray[np.bool_]:
        """Whether the branches from `at` to each of the others stay in the organ; shapes (n, 3)."""
        t = np.linspace(0, 1, CHECKS)[:, None, None, None]
        along = at + t * (np.stack(others) - at)
        return np.asarray((self.lattice.depth_at(along) > SURFACE_MM).all(axis=(0, 1)))

    def _relax(self) -> None:
        """Move every bifurcation towards the point that makes its three branches' volume smallest."""
        children: dict[int, list[int]] = {}
        for n, parent in enumerate(self.parent):
            children.setdefault(parent, []).append(n)
        forks = np.array([n for n in range(len(self.end)) if len(children.get(n, ())) == 2], dtype=np.int64)
        if not len(forks):
            return
        first = np.array([children[n][0] for n in forks])
        second = np.array([children[n][1] for n in forks])
        area = _area(np.array(self.load, dtype=np.float64))
        weights = np.stack([area[forks], area[first], area[second]])
        for turn in range(RELAX_ROUNDS):
            # Every other fork at a time, so that neighbours do not chase each other.
            moving = np.arange(len(forks)) % 2 == turn % 2
            end, start = np.array(self.end), self.starts()
            around = np.stack([start[forks], end[first], end[second]])
            best = _fermat(around, weights)
            there = 0.5 * (best + end[forks])
            long = np.linalg.norm(around - there, axis=2).min(axis=0) > SHORTEST_MM
            moving = moving & long & self._inside(there, *around)
            for m in np.flatnonzero(moving).tolist():
                self.end[int(forks[m])] = there[m]


def _area(load: Float) -> Float:
    """Cross-section relative to an end branch's: Murray's law, load^(2/3)."""
    return np.asarray(load ** (2 / MURRAY_EXPONENT))


def _distance(point: Float, start: Float, end: Float) -> Float:
    axis = end - start
    t = ((point - start) * axis).sum(axis=1) / np.maximum((axis**2).sum(axis=1), 1e-12)
    return np.asarray(np.linalg.norm(point - start - np.clip(t, 0, 1)[:, None] * axis, axis=1))


def _fermat(corners: Float, weights: Float) -> Float:
    """Points of least weighted distance to three corners (Weiszfeld's iteration); (3, n, 3), (3, n) -> (n, 3)."""
    at = (corners * weights[..., None]).sum(axis=0) / weights.sum(axis=0)[:, None]
    for _ in range(SEARCH_STEPS):
        pull = weights / np.maximum(np.linalg.norm(corners - at, axis=2), 1e-3)
        at = (corners * pull[..., None]).sum(axis=0) / pull.sum(axis=0)[:, None]
    return np.asarray(at)
