"""Masses of the ICRP-110 reference phantoms, read as label maps with the densities that come with them.

Reference: liver 1800 g and 1400 g, lungs with their blood 1200 g and 950 g for the adult male and female (ICRP
Publication 89, 2002), to which the phantoms of ICRP Publication 110 (2009) were adjusted. Voxels are anisotropic.
"""

import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hepatica.anatomy.ct.uniform import hu_of_density
from hepatica.anatomy.segmentation.body_and_lungs.lungs import lung_regions
from hepatica.core import Grid, Kind, Volume
from hepatica.io.structures.regions import read_structures

LIVER, LUNGS = (95,), (96, 97, 98, 99)


@pytest.fixture(scope="module")
def phantoms(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("icrp110")
    with zipfile.ZipFile(next((real_data / "icrp110").glob("*.zip"))) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if "/A" in name and "Activity" not in name])
    return folder / "data"


def density_of_labels(phantoms: Path, sex: str) -> np.ndarray:
    materials = (phantoms / f"{sex}_GateMaterials.db").read_text()
    density = {name: float(d) for name, d in re.findall(r"^(\S+): d=([\d.]+) g/cm3", materials, re.MULTILINE)}
    table = np.zeros(256)
    for line in (phantoms / f"{sex}_LabelsToMaterials.txt").read_text().splitlines():
        first, end, name = line.split()
        table[int(first) : int(end)] = density[name]
    return table


@pytest.mark.parametrize(
    ("sex", "shape", "spacing_mm", "liver_g", "lungs_g"),
    [
        ("AM", (254, 127, 222), (2.137, 2.137, 8.0), 1800, 1200),
        ("AF", (299, 137, 348), (1.775, 1.775, 4.84), 1400, 950),
    ],
)
def test_liver_and_lungs_weigh_what_the_publication_says(
    phantoms: Path, sex: str, shape: tuple[int, int, int], spacing_mm: tuple[float, ...], liver_g: float, lungs_g: float
) -> None:
    header = next(phantoms.glob(f"{sex}*.mhd"))
    header.with_suffix(".json").write_text(json.dumps({str(n): f"organ {n}" for n in (*LIVER, *LUNGS)}))
    grid = Grid.axial(shape, spacing_mm=spacing_mm)
    found = read_structures(header, grid, names=[f"organ {n}" for n in (*LIVER, *LUNGS)])
    labels = np.fromfile(header.with_suffix(".raw"), "<u2").reshape(shape[::-1]).transpose(2, 1, 0)
    density = Volume(grid, density_of_labels(phantoms, sex)[labels], Kind.DENSITY)

    def mass_g(organs: tuple[int, ...]) -> float:
        return sum(found[f"organ {n}"].mass_g(density) for n in organs)

    # The voxel size is given to four digits, 5e-4 along each of two axes, and densities to three: 0.3 % together.
    assert mass_g(LIVER) == pytest.approx(liver_g, rel=3e-3)
    assert mass_g(LUNGS) == pytest.approx(lungs_g, rel=3e-3)


@pytest.mark.parametrize(
    ("sex", "shape", "spacing_mm"),
    [("AM", (254, 127, 222), (2.137, 2.137, 8.0)), ("AF", (299, 137, 348), (1.775, 1.775, 4.84))],
)
def test_lungs_found_on_a_ct_have_the_volume_drawn(
    phantoms: Path, sex: str, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]
) -> None:
    """3 % of each side: half a voxel all round a lung would be 3 to 5 %. Vessels (labels 96, 98) belong to the lung."""
    header = next(phantoms.glob(f"{sex}*.mhd"))
    labels = np.fromfile(header.with_suffix(".raw"), "<u2").reshape(shape[::-1]).transpose(2, 1, 0)
    table = density_of_labels(phantoms, sex)
    hu_of = np.array([hu_of_density(density) if density > 0.01 else -1000.0 for density in table])
    grid = Grid.axial(shape, spacing_mm=spacing_mm)
    left, right = lung_regions(Volume(grid, np.where(labels > 0, hu_of[labels], -1000.0), Kind.HU))
    # Of the phantoms' columns the first is the patient's right.
    for lung, (vessels, tissue) in ((left, (96, 97)), (right, (98, 99))):
        drawn_ml = float(np.isin(labels, (vessels, tissue)).sum()) * grid.voxel_volume_ml
        assert lung.volume_ml == pytest.approx(drawn_ml, rel=0.03)
