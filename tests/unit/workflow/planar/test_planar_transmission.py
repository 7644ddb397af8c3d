"""A transmission scan must be of the views' patient, size, window and place; what it shows corrects attenuation."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from scipy import ndimage

import hepatica
from hepatica.core import Region
from hepatica.core.context import DicomContext
from hepatica.errors import GeometryError, InputError
from hepatica.imaging.planar.attenuation import narrow_mu_per_cm
from hepatica.imaging.planar.views import PlanarViews
from hepatica.imaging.spect.projections import Window
from hepatica.io.dicom.images.planar import read_planar
from hepatica.io.dicom.images.write import Emission
from hepatica.io.dicom.planar.write import write_planar
from planar_makers import WHEN

SHAPE, PIXEL, PLACE = (32, 40), (6.0, 5.0), (-90.0, 100.0)
BODY = (slice(3, 29), slice(2, 38))
LUNGS, LIVER = (slice(16, 26), slice(6, 16)), (slice(5, 15), slice(20, 32))
FRAME = "1.2.826.0.1.3680043.8.498.1"


def written(path: Path, image: np.ndarray, nuclide: str, window: Window, **more: Any) -> Path:
    """One file of an image as both heads see it; more: patient, pixel, place."""
    pixel, place = more.get("pixel", PIXEL), more.get("place", PLACE)
    views = PlanarViews(np.stack([image[None]] * 2), ("anterior", "posterior"), (window,), pixel, (300.0,) * 2,
                        (0.0,) * 2, WHEN, place)  # fmt: skip
    emission = Emission(nuclide=nuclide, start=WHEN, frame_duration_s=300.0)
    write_planar(path, views, DicomContext.invented(patient_id=more.get("patient", "P1")), emission)
    dataset = pydicom.dcmread(path)
    dataset.FrameOfReferenceUID = FRAME
    dataset.save_as(path)
    return path


def scene(folder: Path, **more: Any) -> dict[str, Any]:
    """Views of lungs and liver alike; the body lets less through at the liver. `moved` shifts the flood's patient."""
    image = np.full(SHAPE, 2.0)
    image[BODY], image[LUNGS], image[LIVER] = 10.0, 300.0, 300.0
    path = written(folder / "views.dcm", image, "Tc-99m", Window(126.5, 154.6))
    water_mm = np.zeros(SHAPE)
    water_mm[BODY], water_mm[LUNGS] = 200.0, 80.0
    water_mm = np.roll(water_mm, more.pop("moved", 0), axis=0)
    open_ = np.full(SHAPE, 20000.0)
    flood = more.pop("window", Window(110.0, 134.0))
    through = np.rint(open_ * np.exp(-narrow_mu_per_cm(122.0) / 10 * water_mm))
    scan = written(folder / "through.dcm", through, "Tc-99m", flood, **more)
    blank = written(folder / "blank.dcm", open_, "Tc-99m", flood, patient="QC")
    grid = read_planar([path], all_windows=True)[0].image.grid
    regions = []
    for name, box in (("lungs", LUNGS), ("liver", LIVER)):
        front = np.zeros(SHAPE, np.float32)
        front[box] = ndimage.binary_erosion(np.ones([side.stop - side.start for side in box]))
        regions.append(Region.from_coverage(name, grid, np.stack([front, front[::-1]], axis=2)))
    return {"planar": path, "structures": tuple(regions), "scan": scan, "blank": blank}


def measured(made: dict[str, Any], **flood: Any) -> Any:
    options = hepatica.BiodistributionOptions(
        absorption=hepatica.PlanarAttenuationOptions(attenuation="transmission", beam="narrow", **flood),
        flood=hepatica.TransmissionOptions(transmission_scan=made["scan"], blank=made["blank"]),
        organs=hepatica.PlanarOrganOptions(normalise="organs"),
    )
    return hepatica.biodistribution(made["planar"], structures=made["structures"], options=options)


def test_the_transmission_of_the_patient_corrects(tmp_path: Path) -> None:
    """Equal counts through 80 and 200 mm: the liver holds exp(mu (200 - 80) / 2) times what the lungs hold.

    The regions lie a pixel inside, where the smoothing of the flood over three pixels mixes nothing; 1 % for its whole
    counts (20000 through mu T = 3: 1000 +- 0.5).
    """
    found = measured(scene(tmp_path))
    held = {organ.name: organ.share.value for organ in found.times[0].organs}
    # 8 x 8 pixels of the lungs, 8 x 10 of the liver.
    ratio = 80 / 64 * np.exp(narrow_mu_per_cm(140.511) / 10 * 60)
    assert held["liver"] / held["lungs"] == pytest.approx(ratio, rel=0.01)
    assert {file.role for file in found.provenance.inputs} >= {"planar"}


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        ({"patient": "P2"}, InputError, "must be of one patient"),
        ({"pixel": (6.0, 5.5)}, GeometryError, "acquire it with the zoom"),
        ({"place": (-60.0, 100.0)}, GeometryError, "lies 30 mm across and 0 mm along"),
        ({"moved": 14}, InputError, "shows no body"),
        ({"window": Window(126.5, 154.6)}, InputError, "holds the flood's photons of 122 keV"),
    ],
)
def test_a_transmission_scan_of_something_else(tmp_path: Path, more: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        measured(scene(tmp_path, **more))
