"""Regions drawn on planar views from an RTSTRUCT, a SEG and overlay planes: one answer, that of the regions given."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

import hepatica
from hepatica.core import Kind, Region, Volume
from hepatica.core.context import DicomContext
from hepatica.errors import InputError
from hepatica.imaging.planar.views import PlanarViews
from hepatica.imaging.spect.projections import Window
from hepatica.io.dicom.images.planar import read_planar
from hepatica.io.dicom.images.write import Emission
from hepatica.io.dicom.planar.write import write_planar
from hepatica.io.dicom.structures.rtstruct import write_rtstruct
from hepatica.io.dicom.structures.seg import write_seg
from hepatica.io.itk import write_itk
from planar_makers import WHEN

PEAK = Window(328.1, 400.9)
BOXES = {"liver": (slice(4, 14), slice(20, 32)), "lungs": (slice(16, 26), slice(6, 16))}
RATE = {"liver": 400.0, "lungs": 90.0}


@dataclass(frozen=True)
class Drawn:
    """A file of views, and regions on both of its frames, the posterior one as seen from behind."""

    path: Path
    context: DicomContext
    regions: tuple[Region, ...]


def drawn_file(folder: Path, body: float = 3.0) -> Drawn:
    """Unequal pixels and columns: an axis swapped, or a view not turned, gives another answer."""
    counts = np.full((2, 1, 32, 40), 3.0)
    counts[:, :, 2:28, 3:36] = body
    for name, box in BOXES.items():
        counts[0, 0][box], counts[1, 0][box] = RATE[name], RATE[name] // 3
    views = PlanarViews(counts, ("anterior", "posterior"), (PEAK,), (6.0, 5.0), (300.0,) * 2, (0.0,) * 2, WHEN,
                        (-90.0, 100.0))  # fmt: skip
    path = folder / "views.dcm"
    emission = Emission(nuclide="I-131", start=WHEN, frame_duration_s=300.0)
    context = write_planar(path, views, DicomContext.invented(patient_id="P1"), emission)
    grid = read_planar([path], all_windows=True)[0].image.grid
    regions = []
    for name, box in BOXES.items():
        front = np.zeros((32, 40), np.float32)
        front[box] = 1
        regions.append(Region.from_coverage(name, grid, np.stack([front, front[::-1]], axis=2)))
    return Drawn(path, context, tuple(regions))


def overlaid(made: Drawn) -> None:
    """The same regions as overlay planes of the file."""
    dataset = pydicom.dcmread(made.path)
    for number, region in enumerate(made.regions):
        group, bits = 0x6000 + 2 * number, region.full().transpose(2, 1, 0).astype(np.uint8).ravel()
        data = np.packbits(bits, bitorder="little").tobytes()
        whole = ((0x10, "US", 40), (0x11, "US", 32), (0x15, "IS", "2"), (0x51, "US", 1), (0x100, "US", 1),
                 (0x102, "US", 0), (0x40, "CS", "R"), (0x50, "SS", [1, 1]), (0x1500, "LO", region.name),
                 (0x3000, "OW", data + b"\0" * (len(data) % 2)))  # fmt: skip
        for element, vr, value in whole:
            dataset.add_new((group, element), vr, value)
    dataset.save_as(made.path)


def shares(path: Path, structures: Any) -> dict[str, float]:
    thick = hepatica.PlanarAttenuationOptions(
        attenuation="thickness", body_thickness_mm=200.0, organ_thickness_mm=(("liver", 120.0), ("lungs", 150.0))
    )
    options = hepatica.BiodistributionOptions(absorption=thick, organs=hepatica.PlanarOrganOptions(normalise="organs"))
    found = hepatica.biodistribution(path, structures=structures, options=options)
    return {organ.name: organ.share.value for organ in found.times[0].organs}


@pytest.mark.parametrize("kind", ["rtstruct", "seg", "overlay"])
def test_what_a_workstation_drew_is_what_is_measured(tmp_path: Path, kind: str) -> None:
    """A contour along pixels' edges covers whole pixels; those of a workstation are rounded to a part of a pixel."""
    made = drawn_file(tmp_path)
    expected = shares(made.path, made.regions)
    # Attenuation is one factor for both; the lungs' self-attenuation is larger than the liver's by their thickness.
    assert 0.1 < expected["lungs"] < 0.3
    structures: Any = ()
    if kind == "overlay":
        overlaid(made)
    elif kind == "rtstruct":
        structures = tmp_path / "rtstruct.dcm"
        write_rtstruct(structures, made.regions, made.context)
    else:
        structures = tmp_path / "seg.dcm"
        # Of two images, as a segmentation refers to them; the frame of reference is that of the views.
        source = DicomContext.invented(patient_id="P1", slices=2)
        write_seg(structures, made.regions, replace(source, frame_of_reference=made.context.frame_of_reference))
    assert shares(made.path, structures) == pytest.approx(expected, rel=1e-3)


def test_structures_of_another_patient_are_refused(tmp_path: Path) -> None:
    made = drawn_file(tmp_path)
    write_rtstruct(tmp_path / "other.dcm", made.regions, replace(made.context, patient_id="P2"))
    with pytest.raises(InputError, match="patient"):
        shares(made.path, tmp_path / "other.dcm")


def test_a_body_of_a_label_map_holds_its_organs(tmp_path: Path) -> None:
    """One label in a pixel: the body is what the organs leave, and the rest of the body was nothing."""
    made = drawn_file(tmp_path, body=20.0)
    grid = made.regions[0].grid
    whole = np.zeros(grid.shape, np.int16)
    whole[2:28, 3:36] = 1
    whole[:, :, 1] = whole[::-1, :, 1]
    for number, region in enumerate(made.regions, start=2):
        whole[region.full() > 0] = number
    write_itk(Volume(grid, whole, Kind.LABEL), tmp_path / "drawn.nii.gz")
    (tmp_path / "drawn.json").write_text(json.dumps({"1": "body", "2": "liver", "3": "lungs"}))
    body = Region.from_coverage("body", grid, (whole > 0).astype(np.float32))

    def measured(structures: Any) -> hepatica.BiodistributionResult:
        thick = hepatica.PlanarAttenuationOptions(attenuation="none")
        options = hepatica.BiodistributionOptions(absorption=thick)
        return hepatica.biodistribution(made.path, structures=structures, options=options)

    apart, together = measured(tmp_path / "drawn.nii.gz"), measured((body, *made.regions))
    found, expected = ({o.name: o.share.value for o in r.times[0].organs} for r in (apart, together))
    assert expected["rest of body"] > 0.1
    assert found == pytest.approx(expected, rel=1e-9)
    assert "body-with-organs" in [m.code for m in apart.messages]
    assert "body-with-organs" not in [m.code for m in together.messages]
