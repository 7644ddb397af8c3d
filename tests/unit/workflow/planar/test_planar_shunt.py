"""The lung shunt of planar views is that of a biodistribution: one path, one answer; both say what lies turned."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

import hepatica
from hepatica.core import Region
from hepatica.core.context import DicomContext
from hepatica.errors import InputError
from hepatica.imaging.planar.views import PlanarViews
from hepatica.imaging.spect.projections import Window
from hepatica.io.dicom.images.planar import read_planar
from hepatica.io.dicom.images.write import Emission, write_ct
from hepatica.io.dicom.planar.write import write_planar
from hepatica.io.dicom.structures.rtstruct import write_rtstruct
from planar_makers import WHEN, box_patient

WINDOWS = (Window(126.0, 154.0), Window(109.0, 125.0))
BOXES = {"liver": (slice(4, 14), slice(20, 32)), "lungs": (slice(16, 26), slice(6, 16))}
RATE = {"liver": 400.0, "lungs": 90.0}
THICK = {"absorption": hepatica.PlanarAttenuationOptions(
    body_thickness_mm=200.0, organ_thickness_mm=(("liver", 120.0), ("lungs", 150.0)))}  # fmt: skip


def drawn_views(path: Path) -> tuple[Region, ...]:
    """A file of both views in two windows of 99mTc, 2 mm/s, and what is drawn on both of its views."""
    counts = np.full((2, 2, 32, 40), 3.0)
    for name, box in BOXES.items():
        for view, share in enumerate((1.0, 0.4)):
            counts[view, 0][box], counts[view, 1][box] = RATE[name] * share, RATE[name] * share / 4
    views = PlanarViews(counts, ("anterior", "posterior"), WINDOWS, (6.0, 5.0), (300.0,) * 2, (0.0,) * 2, WHEN,
                        (-90.0, 100.0))  # fmt: skip
    write_planar(path, views, DicomContext.invented(patient_id="P1"), Emission("Tc-99m", WHEN, 300.0))
    grid = read_planar([path], all_windows=True)[0].image.grid
    found = []
    for name, box in BOXES.items():
        front = np.zeros((32, 40), np.float32)
        front[box] = 1
        found.append(Region.from_coverage(name, grid, np.stack([front, front[::-1]] * 2, axis=2)))
    return tuple(found)


def both(planar: Any, structures: Any, **groups: Any) -> tuple[Any, Any]:
    """Results of both verbs with the same options."""
    shunt = hepatica.lung_shunt(planar=planar, structures=structures, views=hepatica.PlanarViewOptions(**groups))
    options = hepatica.BiodistributionOptions(**groups)
    return shunt, hepatica.biodistribution(planar, structures=structures, options=options)


def test_one_answer_for_views_that_are_drawn_on(tmp_path: Path) -> None:
    regions = drawn_views(tmp_path / "views.dcm")
    shunt, whole = both(tmp_path / "views.dcm", regions, **THICK)
    (time,) = whole.times
    assert time.scatter_method == "dew"
    assert shunt.shunt.lung_shunt == time.lung_shunt
    assert (shunt.shunt.interval_95.low, shunt.shunt.interval_95.high) == time.lung_shunt_95
    assert shunt.shunt.details["fraction_without_attenuation_correction"] == time.lung_shunt_not_corrected
    # Through one body: f = (mu t / 2) / sinh(mu t / 2) of the lungs, 150 mm, is below that of a liver of 120 mm.
    assert time.lung_shunt.value < 0.99 * time.lung_shunt_not_corrected
    assert {"attenuation", "scatter", "border", "organ thickness"} <= set(shunt.shunt.components_sd)
    bare = hepatica.lung_shunt(planar=tmp_path / "views.dcm", structures=regions)
    assert bare.shunt.lung_shunt.value == pytest.approx(time.lung_shunt_not_corrected, rel=1e-9)
    assert {"no-attenuation-correction", "planar-shunt-high"} <= {m.code for m in bare.messages}


def test_one_answer_by_a_ct() -> None:
    patient = box_patient()
    scan = hepatica.PlanarScanOptions(pixel_mm=8.0, columns=44, frame_duration_s=60.0)
    seen = hepatica.simulate_planar(
        patient.activity, ct=patient.ct, nuclide="I-131", options=hepatica.PlanarSimulationOptions(scan=scan)
    ).views
    counts = hepatica.PlanarCountsOptions(planar_scatter="none")
    narrow = hepatica.PlanarAttenuationOptions(beam="narrow")
    shunt = hepatica.lung_shunt(
        planar=seen, structures=patient.regions, reading=hepatica.ScoutOptions(ct=patient.ct),
        views=hepatica.PlanarViewOptions(imaged_nuclide="I-131", counts=counts, absorption=narrow),
    ).shunt  # fmt: skip
    whole = hepatica.biodistribution(
        seen, structures=patient.regions, ct=patient.ct,
        options=hepatica.BiodistributionOptions(
            reading=hepatica.PlanarReadingOptions(nuclide="I-131"), counts=counts, absorption=narrow
        ),
    )  # fmt: skip
    assert shunt.lung_shunt == whole.times[0].lung_shunt
    assert shunt.interval_95 is not None
    assert shunt.interval_95.low < 0.16 < shunt.interval_95.high


def test_regions_of_the_other_view_are_said(tmp_path: Path) -> None:
    """Drawn on the anterior view and laid on the first frame, which is the posterior one as seen from behind."""
    regions = drawn_views(tmp_path / "views.dcm")
    other = [Region.from_coverage(r.name, r.grid, np.stack([r.full()[:, :, 1], np.zeros((32, 40)), *[
        np.zeros((32, 40))] * 2], axis=2)) for r in regions]  # fmt: skip
    for found in both(tmp_path / "views.dcm", other, **THICK):
        (said,) = [m for m in found.messages if m.code == "regions-turned"]
        assert said.severity == "critical"
        assert "left for right" in said.text
    for found in both(tmp_path / "views.dcm", regions, **THICK):
        assert "regions-turned" not in [m.code for m in found.messages]


@pytest.mark.parametrize("frames", [(1, 3), (0, 1, 2, 3)])
def test_views_that_are_stored_upside_down_are_said(tmp_path: Path, frames: tuple[int, ...]) -> None:
    """Without ImageOrientationPatient: one view alone by the other one, and both by what is drawn."""
    path = tmp_path / "views.dcm"
    regions = drawn_views(path)
    dataset = pydicom.dcmread(path)
    stored = dataset.pixel_array.copy()
    for frame in frames:
        stored[frame] = stored[frame][::-1]
    dataset.PixelData = stored.tobytes()
    for item in dataset.DetectorInformationSequence:
        del item.ImageOrientationPatient, item.ImagePositionPatient
    dataset.save_as(path)
    for found in both(path, regions, **THICK):
        codes = {m.code for m in found.messages if m.severity == "critical"}
        assert "regions-turned" in codes
        assert ("view-upside-down" in codes) == (len(frames) == 2)


def test_one_view_upside_down_is_seen_by_the_ct() -> None:
    patient = box_patient()
    scan = hepatica.PlanarScanOptions(pixel_mm=8.0, columns=44, frame_duration_s=60.0)
    seen = hepatica.simulate_planar(
        patient.activity, ct=patient.ct, nuclide="I-131", options=hepatica.PlanarSimulationOptions(scan=scan)
    ).views
    counts = seen.counts.copy()
    counts[1] = counts[1, :, :, ::-1]
    turned = PlanarViews(counts, seen.sides, seen.windows, seen.pixel_mm, seen.dwell_s, seen.start_s, seen.time)
    found = hepatica.biodistribution(
        turned, structures=patient.regions, ct=patient.ct,
        options=hepatica.BiodistributionOptions(
            reading=hepatica.PlanarReadingOptions(nuclide="I-131"),
            counts=hepatica.PlanarCountsOptions(planar_scatter="none"),
        ),
    )  # fmt: skip
    said = [m.text for m in found.messages if m.code == "views-turned"]
    assert any("posterior view turned head for feet" in text for text in said)


def test_structures_of_several_files_are_one_set(tmp_path: Path) -> None:
    """Lungs of one file, liver and tumour of another; a name in both would count one organ twice."""
    patient = box_patient()
    scan = hepatica.PlanarScanOptions(pixel_mm=8.0, columns=44, frame_duration_s=60.0)
    seen = hepatica.simulate_planar(
        patient.activity, ct=patient.ct, nuclide="I-131", options=hepatica.PlanarSimulationOptions(scan=scan)
    ).views
    views = hepatica.PlanarViewOptions(
        imaged_nuclide="I-131", counts=hepatica.PlanarCountsOptions(planar_scatter="none"),
        organs=hepatica.PlanarOrganOptions(offset_mm=(0.0, 0.0), resolution_fwhm_mm=12.0),
    )  # fmt: skip
    context = write_ct(tmp_path / "ct", patient.ct.volume, DicomContext.invented(slices=56), description="CT")
    parts = [[r for r in patient.regions if r.name.startswith("lung") == lungs] for lungs in (True, False)]
    files = [tmp_path / "lungs.dcm", tmp_path / "rest.dcm", tmp_path / "all.dcm"]
    for file, regions in zip(files, (*parts, patient.regions), strict=True):
        write_rtstruct(file, regions, context)

    def shunt(*structures: Path) -> hepatica.LungShuntResult:
        reading = hepatica.ScoutOptions(ct=tmp_path / "ct")
        return hepatica.lung_shunt(planar=seen, structures=structures, reading=reading, views=views)

    apart, together = shunt(*files[:2]), shunt(files[2])
    assert apart.shunt.lung_shunt.value == pytest.approx(together.shunt.lung_shunt.value, rel=1e-9)
    assert len([file for file in apart.provenance.inputs if file.role == "structures"]) == 2
    with pytest.raises(InputError, match="several files hold structures of one name: lung left, lung right"):
        shunt(files[0], files[2])


def test_a_shunt_is_of_one_time_and_of_lungs_and_liver(tmp_path: Path) -> None:
    liver, _ = drawn_views(tmp_path / "views.dcm")
    with pytest.raises(InputError, match="missing: lungs"):
        hepatica.lung_shunt(planar=tmp_path / "views.dcm", structures=(liver,))
    organs = hepatica.PlanarOrganOptions(normalise="camera")
    with pytest.raises(InputError, match="`normalise`: of shares of the body"):
        hepatica.lung_shunt(planar=tmp_path / "views.dcm", views=hepatica.PlanarViewOptions(organs=organs))


def test_a_window_without_counts_is_no_window_without_scatter(tmp_path: Path) -> None:
    """It was not recorded: the views are as uncertain as those that have no such window."""
    path = tmp_path / "views.dcm"
    regions = drawn_views(path)
    dataset = pydicom.dcmread(path)
    stored = dataset.pixel_array.copy()
    stored[2:] = 0  # the lower window of both views
    dataset.PixelData = stored.tobytes()
    dataset.save_as(path)
    none = hepatica.PlanarCountsOptions(planar_scatter="none")
    for found, plain in zip(both(path, regions, **THICK), both(path, regions, counts=none, **THICK), strict=True):
        codes = {m.code for m in found.messages}
        assert {"scatter-window-empty", "planar-scatter-in-counts"} <= codes
        if isinstance(found, hepatica.LungShuntResult):
            assert found.shunt == plain.shunt
            assert "scatter left" in found.shunt.components_sd
        else:
            assert found.times[0].scatter_method == "none"
            assert found.times[0].organs == plain.times[0].organs
    with pytest.raises(InputError, match=r"109-125 keV holds no count.*`planar_scatter`"):
        both(path, regions, counts=hepatica.PlanarCountsOptions(planar_scatter="dew"), **THICK)
