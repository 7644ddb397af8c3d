"""Write the S values of the organs: mean absorbed dose to each target for one decay in each source, by Monte Carlo.

Run: ``python tools/tables/build_organ_s_values.py FOLDER --work RESULTS [--nuclides I-131 ...]``. FOLDER holds the two
phantoms of ICRP Publication 110 as OpenDose lays them out (``AM_UINT16_254_127_222.mhd`` and what belongs to it).
RESULTS gets one small file for each phantom, nuclide, source and kind of radiation, so that a stopped run goes on;
``--table`` then writes the table in `dosimetry/organs/tables` from them.

Every voxel of the phantom is matter of its own density; its medium is that of its density, as in a patient. Electrons
(with their bremsstrahlung) and photons are followed in runs of their own, in 20 batches, which give the uncertainty.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Grid
from hepatica.core.constants import KEV_TO_J
from hepatica.nuclides import nuclide
from hepatica.transport.matter.composition import media_by_density
from hepatica.transport.matter.stepping import StepModel
from hepatica.transport.runner.decays import DecayTransport, Places
from hepatica.transport.runner.scoring import Scoring
from hepatica.transport.runner.source import emission
from hepatica.transport.runner.upload import Phantom

TABLE = Path(__file__).resolve().parents[2] / "src" / "hepatica" / "dosimetry" / "organs" / "tables" / "s_values.csv"
PHANTOMS = {
    "male": ("AM", (254, 127, 222), (2.137, 2.137, 8.0)),
    "female": ("AF", (299, 137, 348), (1.775, 1.775, 4.84)),
}
NUCLIDES = ("I-131", "Re-188", "Y-90", "Ho-166", "Tc-99m", "Lu-177", "Sm-153", "Re-186")
BATCHES = 20
DECAYS = {"beta": 200_000, "photon": 2_000_000}
STEP = StepModel()

ORGANS: dict[str, tuple[int, ...]] = {
    "adrenals": (1, 2),
    "blood": (9, 10, 11, 12, 88),
    "cortical_bone": (13, 16, 19, 22, 24, 26, 28, 31, 34, 37, 39, 41, 43, 45, 47, 49, 51, 53, 55),
    "red_marrow": (14, 25, 27, 29, 42, 44, 46, 48, 50, 52, 54, 56),
    "brain": (61,),
    "breasts": (62, 63, 64, 65),
    "gallbladder_wall": (70,),
    "gallbladder_contents": (71,),
    "stomach_wall": (72,),
    "stomach_contents": (73,),
    "small_intestine_wall": (74,),
    "small_intestine_contents": (75,),
    "colon_wall": (76, 78, 80, 82, 84, 86),
    "colon_contents": (77, 79, 81, 83, 85),
    "heart_wall": (87,),
    "kidneys": (89, 90, 91, 92, 93, 94),
    "liver": (95,),
    "lungs": (96, 97, 98, 99),
    "oesophagus": (110,),
    "ovaries": (111, 112),
    "pancreas": (113,),
    "spleen": (127,),
    "testes": (129, 130),
    "thymus": (131,),
    "thyroid": (132,),
    "bladder_wall": (137,),
    "bladder_contents": (138,),
    "uterus": (139,),
}
"""Labels of ICRP Publication 110. The red marrow is the spongiosa of the bones that hold it in adults: its share of
each bone and the thickness of its trabeculae are not known to the voxels."""

SOURCES = (
    "liver", "lungs", "total_body", "stomach_contents", "stomach_wall", "small_intestine_contents", "colon_contents",
    "kidneys", "spleen", "thyroid", "bladder_contents", "blood", "red_marrow",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """A phantom as matter, and the organ of each voxel: numbers of `names`, the last of which is all other tissue."""

    sex: str
    phantom: Phantom
    scoring: Scoring
    names: tuple[str, ...]
    mass_g: NDArray[np.float64]

    def places(self, source: str) -> Places:
        """Decays of a source, even by mass."""
        labels = self.scoring.labels.ravel()
        density = self.phantom.density.ravel()
        inside = labels > 0 if source == "total_body" else labels == self.names.index(source)
        voxels = np.flatnonzero(inside)
        return Places.of_phantom(self.phantom, voxels, density[voxels])


def body_of(folder: Path, sex: str) -> Body:
    """The phantom of that sex, cut to the box of its body."""
    short, shape, spacing = PHANTOMS[sex]
    header = next(folder.glob(f"{short}_*.mhd"))
    labels = np.fromfile(header.with_suffix(".raw"), "<u2").reshape(shape[::-1]).transpose(2, 1, 0)
    inside = (labels > 0) & (labels < 255)
    box = tuple(slice(int(n.min()), int(n.max()) + 1) for n in np.nonzero(inside))
    labels = np.ascontiguousarray(labels[box])
    density = _densities(folder, short)[labels].astype(np.float32)
    index, media = media_by_density(density)
    names = ("outside", *ORGANS, "other_tissue")
    organ = np.full(256, len(names) - 1, np.uint16)
    organ[0] = 0
    for number, of_organ in enumerate(ORGANS.values(), start=1):
        organ[list(of_organ)] = number
    drawn = organ[labels]
    grid = Grid.axial(labels.shape, spacing_mm=spacing)
    voxel_ml = grid.voxel_volume_ml
    mass = np.bincount(drawn.ravel(), weights=density.ravel(), minlength=len(names)) * voxel_ml
    whole = Grid.axial((1, 1, 1), spacing_mm=tuple(n * s for n, s in zip(labels.shape, spacing, strict=True)))
    matter_to_whole = np.diag([1 / s for s in whole.spacing_mm] + [1.0])
    scoring = Scoring(
        grid=whole,
        labels=drawn,
        mass_g=np.full((1, 1, 1), mass.sum(), np.float32),
        mixed=np.zeros((1, 1, 1), np.int32),
        first_part=np.array([0, len(names)], np.int32),
        part_label=np.arange(len(names), dtype=np.uint16),
        part_mass_g=mass.astype(np.float32),
        from_matter=matter_to_whole,
    )
    return Body(sex, Phantom(grid.spacing_mm, density, index, media), scoring, names, mass)


def _densities(folder: Path, short: str) -> NDArray[np.float64]:
    materials = (folder / f"{short}_GateMaterials.db").read_text()
    density = {name: float(d) for name, d in re.findall(r"^(\S+): d=([\d.]+) g/cm3", materials, re.MULTILINE)}
    table = np.zeros(256)
    for line in (folder / f"{short}_LabelsToMaterials.txt").read_text().splitlines():
        first, end, name = line.split()
        table[int(first) : int(end)] = density[name]
    return table


def run(body: Body, name: str, source: str, kind: str, decays: int) -> dict[str, Any] | None:
    """Mean energy per decay in each organ in keV, with its standard uncertainty; None of what is not emitted."""
    what = nuclide(name)
    if (kind == "beta" and not (what.betas or what.electrons)) or (kind == "photon" and not what.photons):
        return None
    emitted = emission(what, kind)  # type: ignore[arg-type]
    transport = DecayTransport(body.phantom, emitted, body.places(source), model=STEP, tally=body.scoring)
    seed = int(hashlib.sha256(f"{body.sex}/{name}/{source}/{kind}".encode()).hexdigest()[:8], 16)
    each, start = decays // BATCHES, time.process_time()
    found = []
    for batch in range(BATCHES):
        tally, counters = transport.run(seed, batch * each, each, 1)
        _, parts, _ = body.scoring.split(tally)
        found.append(np.concatenate([parts, counters[:3]]) / each)
    batches = np.array(found)
    mean, sd = batches.mean(axis=0), batches.std(axis=0, ddof=1) / np.sqrt(BATCHES)
    organs = {one: [float(mean[n]), float(sd[n])] for n, one in enumerate(body.names)}
    return {
        "energy_kev": organs,
        "emitted_kev": float(mean[-3]),
        "escaped_kev": float(mean[-2:].sum()),
        "decays": each * BATCHES,
        "processor_s": time.process_time() - start,
    }


def main() -> None:
    """Follow what is not there yet, or write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--nuclides", nargs="*", default=NUCLIDES)
    parser.add_argument("--sources", nargs="*", default=SOURCES)
    parser.add_argument("--sexes", nargs="*", default=tuple(PHANTOMS))
    parser.add_argument("--scale", type=float, default=1.0, help="times the usual number of decays")
    parser.add_argument("--table", action="store_true", help="write the table from what has been followed")
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    bodies = {sex: body_of(asked.folder, sex) for sex in asked.sexes}
    if asked.table:
        write_table(asked.work, bodies)
        return
    for name in asked.nuclides:
        for source in asked.sources:
            for sex, body in bodies.items():
                for kind, decays in DECAYS.items():
                    path = asked.work / f"{sex}_{name}_{source}_{kind}.json"
                    if path.exists():
                        continue
                    found = run(body, name, source, kind, int(decays * asked.scale))
                    path.write_text(json.dumps(found))
                    if found is not None:
                        print(f"{path.stem}: {found['processor_s']:.1f} s", flush=True)


NO_TARGETS = ("outside", "blood", "gallbladder_contents", "stomach_contents", "small_intestine_contents",
              "colon_contents", "bladder_contents")  # fmt: skip
"""Matter that nobody asks the dose of, beside what is only a source."""


def write_table(work: Path, bodies: dict[str, Body]) -> None:
    """The table, from all that has been followed, and the masses beside it."""
    rows, masses = [], []
    for sex, body in bodies.items():
        weight = dict(zip(body.names, body.mass_g, strict=True))
        weight["total_body"] = sum(mass for name, mass in weight.items() if name != "outside")
        masses += [f"{sex},{name},{grams:.1f}" for name, grams in weight.items() if name != "outside" and grams]
        for name in NUCLIDES:
            for source in SOURCES:
                paths = [work / f"{sex}_{name}_{source}_{kind}.json" for kind in DECAYS]
                if not all(path.exists() for path in paths):
                    continue
                found = [json.loads(path.read_text()) for path in paths]
                for target in (*(n for n in body.names if n not in NO_TARGETS), "total_body"):
                    if not weight[target]:
                        continue
                    numbers = []
                    for one in found:
                        value, sd = _energy(one, target)
                        # keV per decay over g is 1.602e-13 Gy/(Bq s), or the same number of mGy/(MBq s) times 1e9.
                        scale = KEV_TO_J * 1e3 / weight[target] * 1e9
                        numbers += [f"{value * scale:.4g}", f"{sd * scale:.2g}"]
                    rows.append(",".join([sex, name, source, target, *numbers]))
    head = (
        "# S values in mGy/(MBq s) of the adult phantoms of ICRP Publication 110, by "
        "tools/tables/build_organ_s_values.py:\n"
        "# electrons with their bremsstrahlung, and photons; each with its standard uncertainty by counting (k = 1).\n"
        "sex,nuclide,source,target,electrons,electrons_sd,photons,photons_sd\n"
    )
    TABLE.write_text(head + "\n".join(rows) + "\n")
    head = "# Mass of each organ of the phantoms in g.\nsex,organ,mass_g\n"
    TABLE.with_name("organ_masses.csv").write_text(head + "\n".join(masses) + "\n")


def _energy(found: dict[str, Any] | None, target: str) -> tuple[float, float]:
    """Mean energy per decay in keV and its standard uncertainty; the body's is what its organs got."""
    if found is None:
        return 0.0, 0.0
    energy = found["energy_kev"]
    energy.setdefault("cortical_bone", energy.pop("bone_surface_and_cortex", None))
    if target != "total_body":
        return energy[target][0], energy[target][1]
    inside = [pair for name, pair in energy.items() if name != "outside"]
    return sum(value for value, _ in inside), sum(sd**2 for _, sd in inside) ** 0.5


if __name__ == "__main__":
    main()
