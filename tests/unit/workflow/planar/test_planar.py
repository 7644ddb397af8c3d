"""Planar lung shunt from NM files: the views are known by their tags or as stated, left and right never by chance."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicom_makers import NM_CLASS, base, put_pixels, radiopharmaceutical, save
from hepatica.cli.main import main
from hepatica.core import Grid, Kind, Volume
from hepatica.core.image import Image
from hepatica.errors import DicomError, GeometryError, HepaticaError, InputError
from hepatica.io.dicom.images.planar import read_planar
from hepatica.io.itk import write_itk
from hepatica.io.structures.regions import read_structures
from hepatica.planning.scout.lung_shunt import PlanarShuntOptions, SpectShuntOptions
from hepatica.planning.scout.lungs import LungDoseOptions
from hepatica.planning.scout.scan import ScoutOptions
from hepatica.workflow.planning.lung_shunt import LungShuntResult, lung_shunt
from hepatica.workflow.planning.planar import PlanarViewOptions

COLUMNS, ROWS = 48, 40
SPACING = (4.0, 3.0)
"""Between columns and rows, mm."""

LUNGS, LIVER, BACKGROUND = 30, 240, 5
"""Counts of a pixel above background, anterior; the posterior view has others, by organ."""


def labels() -> np.ndarray:
    """[i, j] as the anterior view shows them: liver to the left of the picture, lungs of unequal size above."""
    out = np.zeros((COLUMNS, ROWS), dtype=np.int16)
    out[6:20, 4:20], out[28:38, 4:18] = 1, 1
    out[5:26, 22:36] = 2
    out[40:46, 25:38] = 3
    return out


def anterior() -> np.ndarray:
    """Counts [i, j] of the anterior view."""
    drawn = labels()
    return (BACKGROUND + LUNGS * (drawn == 1) + LIVER * (drawn == 2)).astype(np.uint16)


def posterior() -> np.ndarray:
    """The posterior view in the anterior's places: lungs brighter, liver weaker."""
    drawn = labels()
    return (BACKGROUND + 2 * LUNGS * (drawn == 1) + LIVER // 2 * (drawn == 2)).astype(np.uint16)


def expected() -> float:
    n_lungs, n_liver = (labels() == 1).sum(), (labels() == 2).sum()
    lungs, liver = n_lungs * LUNGS * 2**0.5, n_liver * LIVER * 0.5**0.5
    return float(lungs / (lungs + liver))


def detector(view: str | None, *, rows: int | None = None, scheme: str = "SCT") -> Dataset:
    item = Dataset()
    if view is not None:
        code = Dataset()
        n = ("anterior", "posterior").index(view)
        code.CodeValue = {"SCT": ("399321004", "399001007"), "SRT": ("G-5215", "G-5216"), "99X": ("A", "P")}[scheme][n]
        code.CodingSchemeDesignator, code.CodeMeaning = scheme, ("ANT", "Posterior projection")[n]
        item.ViewCodeSequence = [code]
    if rows is not None:
        item.ImageOrientationPatient = [rows, 0, 0, 0, 0, -1]
        item.ImagePositionPatient = [0, 0, 0]
    return item


def nm(
    frames: list[np.ndarray], detectors: list[Dataset], *, series: int = 3, kind: str = "STATIC", **more: Any
) -> Dataset:
    dataset = base(NM_CLASS, "NM", series=series)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", kind, "EMISSION"]
    dataset.NumberOfFrames, dataset.PixelSpacing = len(frames), [f"{SPACING[1]}", f"{SPACING[0]}"]
    dataset.ActualFrameDuration = "300000"
    dataset.DetectorInformationSequence = detectors
    dataset.DetectorVector = list(range(1, len(frames) + 1))
    item = radiopharmaceutical(RadionuclideHalfLife="21624", RadionuclidePositronFraction=None)
    code = item.RadionuclideCodeSequence[0]
    code.CodeValue, code.CodeMeaning = "C-163A8", "^99m^Technetium"
    dataset.RadiopharmaceuticalInformationSequence = [item]
    put_pixels(dataset, np.stack([frame.T for frame in frames]))
    for keyword, value in more.items():
        setattr(dataset, keyword, value)
    return dataset


def rois(folder: Path, planes: list[np.ndarray], name: str = "rois") -> Path:
    grid = Grid.axial((COLUMNS, ROWS, len(planes)), spacing_mm=(*SPACING, 1.0))
    write_itk(Volume(grid, np.stack(planes, axis=2), Kind.LABEL), folder / f"{name}.nii.gz")
    (folder / f"{name}.json").write_text(json.dumps({"1": "lungs", "2": "liver", "3": "background"}))
    return folder / f"{name}.nii.gz"


def shunt(images: Any, structures: Any, *, unit: str | None = None, **more: Any) -> LungShuntResult:
    reading = ScoutOptions(activity_unit=unit)
    return lung_shunt(planar=images, structures=structures, reading=reading, views=PlanarViewOptions(**more))


@pytest.mark.parametrize("kind", ["STATIC", "WHOLE BODY"])
@pytest.mark.parametrize("scheme", ["SCT", "SRT", "99X"])
def test_views_are_known_by_their_tags_in_either_order(tmp_path: Path, kind: str, scheme: str) -> None:
    front, back = detector("anterior", scheme=scheme), detector("posterior", scheme=scheme)
    seen = posterior()[::-1]
    drawn, mirrored = labels(), labels()[::-1]
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    save(nm([anterior(), seen], [front, back], kind=kind), tmp_path / "a")
    save(nm([seen, anterior()], [back, front], kind=kind), tmp_path / "b")
    one = shunt(tmp_path / "a", rois(tmp_path, [drawn, mirrored], "first"))
    other = shunt(tmp_path / "b", rois(tmp_path, [mirrored, drawn], "second"))
    assert one.shunt.lung_shunt.value == pytest.approx(expected(), rel=1e-6)
    assert other.shunt == one.shunt
    assert one.provenance.inputs[0].role == "planar"


def test_regions_on_one_view_are_carried_over_by_the_orientation(tmp_path: Path) -> None:
    # Drawn on the second frame, the posterior one, of a file whose detectors state opposite rows.
    save(
        nm([anterior(), posterior()[::-1]], [detector("anterior", rows=1), detector("posterior", rows=-1)]),
        tmp_path / "nm",
    )
    nothing = np.zeros_like(labels())
    for planes in ([labels(), nothing], [nothing, labels()[::-1]]):
        out = shunt(tmp_path / "nm", rois(tmp_path, planes))
        assert out.shunt.lung_shunt.value == pytest.approx(expected(), rel=1e-6)
        assert "structures-carried-over" in [m.code for m in out.messages]
    with pytest.raises(InputError, match="the detectors' orientation says"):
        shunt(tmp_path / "nm", rois(tmp_path, [labels(), nothing]), posterior="mirrored")


def test_how_the_posterior_view_is_stored_must_be_known(tmp_path: Path) -> None:
    # Equal orientations of both heads prove nothing.
    for folder, rows in (("none", None), ("equal", 1)):
        heads = [detector("anterior", rows=rows), detector("posterior", rows=rows)]
        save(nm([anterior(), posterior()[::-1]], heads), tmp_path / folder / "seen")
        save(nm([anterior(), posterior()], heads), tmp_path / folder / "mirrored")
        one = rois(tmp_path, [labels(), np.zeros_like(labels())])
        by_image = shunt(tmp_path / folder / "seen", one)
        assert by_image.shunt.lung_shunt.value == pytest.approx(expected(), rel=1e-6)
        assert "posterior-by-image" in [m.code for m in by_image.messages]
        for stored, said in (("seen", "as-seen"), ("mirrored", "mirrored")):
            out = shunt(tmp_path / folder / stored, one, posterior=said)
            assert out.shunt.lung_shunt.value == pytest.approx(expected(), rel=1e-6)
            assert "posterior-the-other-way" not in [m.code for m in out.messages]
        bare = rois(tmp_path, [labels() * (labels() < 3), np.zeros_like(labels())], "bare")
        wrong = shunt(tmp_path / folder / "seen", bare, posterior="mirrored")
        assert {"posterior-the-other-way", "regions-turned"} <= {m.code for m in wrong.messages}
    even = np.full_like(anterior(), 7)
    save(nm([even, even], [detector("anterior"), detector("posterior")]), tmp_path / "even")
    with pytest.raises(InputError, match=r"the images do not show it.*`posterior`"):
        shunt(tmp_path / "even", one)
    with pytest.raises(InputError, match=r"unknown `posterior` .*known: as-seen, mirrored"):
        shunt(tmp_path / "none/seen", one, posterior="flipped")


def test_unknown_views_are_an_error_that_names_the_tag(tmp_path: Path) -> None:
    frames = [posterior()[::-1], anterior()]
    both = rois(tmp_path, [labels()[::-1], labels()])
    save(nm(frames, [detector(None), detector(None)]), tmp_path / "unknown")
    with pytest.raises(DicomError, match=r"DetectorInformationSequence/ViewCodeSequence.*`view_order`"):
        shunt(tmp_path / "unknown", both)
    assert shunt(
        tmp_path / "unknown", both, view_order=["posterior", "anterior"]
    ).shunt.lung_shunt.value == pytest.approx(expected(), rel=1e-6)
    for views, match in (
        (["anterior"], "1 `view_order` are stated"),
        (["anterior", "left"], "'left'"),
        (["anterior", "anterior"], "a second anterior view"),
    ):
        with pytest.raises(InputError, match=match):
            shunt(tmp_path / "unknown", both, view_order=views)
    save(nm(frames, [detector("posterior"), detector("anterior")]), tmp_path / "known")
    with pytest.raises(InputError, match=r"stated as anterior, but .* says posterior"):
        shunt(tmp_path / "known", both, view_order=["anterior", "posterior"])
    # Without DetectorVector nobody knows which item a frame belongs to.
    dataset = nm(frames, [detector("posterior"), detector("anterior")])
    del dataset.DetectorVector
    save(dataset, tmp_path / "vectorless")
    with pytest.raises(DicomError, match="DetectorVector"):
        shunt(tmp_path / "vectorless", both)
    oblique = detector("anterior", scheme="99X")
    oblique.ViewCodeSequence[0].CodeMeaning = "Left anterior oblique"
    save(nm(frames, [detector("posterior"), oblique]), tmp_path / "oblique")
    with pytest.raises(DicomError, match="frame 2"):
        shunt(tmp_path / "oblique", both)
    contrary = detector("anterior")
    contrary.ViewCodeSequence[0].CodeMeaning = "Posterior"
    save(nm(frames, [detector("posterior"), contrary]), tmp_path / "contrary")
    with pytest.raises(DicomError, match="contradicts"):
        shunt(tmp_path / "contrary", both)


def test_two_series_taken_one_after_the_other(tmp_path: Path) -> None:
    # The posterior view 2 h later lasts twice as long: counts x 2 x 1/2^(2 h / 6.0067 h), and decays the longer.
    decay = math.log(2) / 21624
    during = [(1 - math.exp(-decay * s)) / (decay * s) for s in (300, 600)]
    late = np.rint(100 * posterior()[::-1].astype(float) * 2 * 0.5 ** (7200 / 21624) * during[1] / during[0])
    save(nm([100 * anterior()], [detector("anterior")], series=3), tmp_path / "views")
    save(
        nm(
            [late.astype(np.uint16)],
            [detector("posterior")],
            series=4,
            ActualFrameDuration="600000",
            AcquisitionTime="123000",
        ),
        tmp_path / "views",
    )
    files = sorted((tmp_path / "views").iterdir())
    front, back = rois(tmp_path, [labels()], "front"), rois(tmp_path, [labels()[::-1]], "back")
    for images, regions in ((files, [front, back]), (files[::-1], [back, front])):
        # The rounding of the stored counts is 1 in 10 000.
        assert shunt(images, regions).shunt.lung_shunt.value == pytest.approx(expected(), rel=1e-4)
    # One drawing, of the first file named, and a folder as one word.
    assert shunt(files, front, posterior="as-seen").shunt.lung_shunt.value == pytest.approx(expected(), rel=1e-4)
    assert "single-view" in [m.code for m in shunt(files[0], front).messages]
    with pytest.raises(InputError, match="3 sets of structures"):
        shunt(files, [front, back, back])


def test_overlay_planes_of_the_file_are_structures(tmp_path: Path) -> None:
    """A workstation's regions of interest, on both frames, in place of a file of structures."""
    dataset = nm([anterior(), posterior()[::-1]], [detector("anterior"), detector("posterior")])
    frames = np.stack([labels().T, labels()[::-1].T])
    for group, (value, name) in zip(
        (0x6000, 0x6002, 0x6004), ((1, "lungs"), (2, "liver"), (3, "background")), strict=True
    ):
        bits = np.packbits((frames == value).ravel(), bitorder="little").tobytes()
        sizes = ((0x10, "US", ROWS), (0x11, "US", COLUMNS), (0x15, "IS", "2"), (0x51, "US", 1), (0x100, "US", 1))
        for element, vr, what in (
            *sizes,
            (0x102, "US", 0),
            (0x40, "CS", "R"),
            (0x50, "SS", [1, 1]),
            (0x1500, "LO", name),
        ):
            dataset.add_new((group, element), vr, what)
        dataset.add_new((group, 0x3000), "OW", bits + b"\0" * (len(bits) % 2))
    save(dataset, tmp_path / "views")
    assert shunt(tmp_path / "views", ()).shunt.lung_shunt.value == pytest.approx(expected(), rel=1e-6)


def test_energy_windows_and_other_troubles(tmp_path: Path) -> None:
    both = [labels(), labels()[::-1]]
    windows = []
    for low, high in (("126", "154"), ("109", "125")):
        window, limits = Dataset(), Dataset()
        limits.EnergyWindowLowerLimit, limits.EnergyWindowUpperLimit = low, high
        window.EnergyWindowRangeSequence = [limits]
        windows.append(window)
    scatter = [np.full_like(anterior(), 3)] * 2
    dataset = nm(
        [anterior(), posterior()[::-1], *scatter],
        [detector("anterior"), detector("posterior")],
        EnergyWindowInformationSequence=windows,
        EnergyWindowVector=[1, 1, 2, 2],
        DetectorVector=[1, 2, 1, 2],
    )
    save(dataset, tmp_path / "windows")
    regions = rois(tmp_path, [*both, *both])
    # The photopeak is known by the nuclide; an even scatter, taken off by the lower window, is in the background too.
    for window in (None, 1):
        found = shunt(tmp_path / "windows", regions, energy_window=window).shunt.lung_shunt.value
        assert found == pytest.approx(expected(), rel=1e-6)
    with pytest.raises(InputError, match="no energy window 3"):
        shunt(tmp_path / "windows", regions, energy_window=3)
    small = nm([anterior()[:24, :]], [detector("posterior")], series=4)
    save([nm([anterior()], [detector("anterior")]), small], tmp_path / "sizes")
    with pytest.raises(GeometryError, match="export both views with one matrix"):
        shunt(sorted((tmp_path / "sizes").iterdir()), rois(tmp_path, [labels()], "one"), posterior="as-seen")
    with pytest.raises(HepaticaError):
        shunt(tmp_path, regions)


def test_a_file_without_tags_needs_the_views_stated(tmp_path: Path) -> None:
    grid = Grid.axial((COLUMNS, ROWS, 2), spacing_mm=(*SPACING, 1.0))
    counts = np.stack([anterior(), posterior()[::-1]], axis=2).astype(np.float32)
    write_itk(Volume(grid, counts, Kind.COUNTS), tmp_path / "planar.nii.gz")
    regions = rois(tmp_path, [labels(), labels()[::-1]])
    with pytest.raises(DicomError, match="`view_order` anterior posterior"):
        shunt(tmp_path / "planar.nii.gz", regions, unit="counts", imaged_nuclide="Tc-99m")
    with pytest.raises(InputError, match="`imaged_nuclide`"):
        shunt(tmp_path / "planar.nii.gz", regions, unit="counts", view_order=["anterior", "posterior"])
    out = shunt(tmp_path / "planar.nii.gz", regions, unit="counts", view_order=["anterior", "posterior"],
                imaged_nuclide="Tc-99m")  # fmt: skip
    assert out.shunt.lung_shunt.value == pytest.approx(expected(), rel=1e-6)


def test_values_are_as_good_as_files(tmp_path: Path) -> None:
    save(nm([anterior(), posterior()[::-1]], [detector("anterior"), detector("posterior")]), tmp_path / "nm")
    both = rois(tmp_path, [labels(), labels()[::-1]])
    from_file = shunt(tmp_path / "nm", both)
    (file,) = read_planar([tmp_path / "nm"])
    regions = read_structures(both, file.image).regions
    assert shunt(file, regions).shunt == from_file.shunt
    # An array says neither its views nor how long they lasted.
    image = Image.from_array(file.image.volume.values, unit="counts", grid=file.image.grid)
    of_array = shunt(image, regions, view_order=("anterior", "posterior"), imaged_nuclide="Tc-99m").shunt
    assert of_array.lung_shunt.value == pytest.approx(from_file.shunt.lung_shunt.value, rel=1e-9)
    assert of_array.lung_shunt.sd == pytest.approx(from_file.shunt.lung_shunt.sd, rel=1e-9)
    with pytest.raises(DicomError, match="`view_order`"):
        shunt(image, regions, imaged_nuclide="Tc-99m")
    with pytest.raises(InputError, match="a path, an Image or a PlanarFile, not int"):
        shunt([3], regions)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(nm([anterior(), posterior()[::-1]], [detector("anterior"), detector("posterior")]), tmp_path / "nm")
    structures = rois(tmp_path, [labels(), np.zeros_like(labels())])
    common = ["lsf", "--planar", str(tmp_path / "nm"), "--structures", str(structures), "--border-sd", "2 mm"]

    def answer(*more: str) -> dict[str, Any]:
        capsys.readouterr()
        assert main([*common, "--json", *more]) == 0
        return dict(json.loads(capsys.readouterr().out))

    out = answer("--posterior", "as-seen")
    assert out["lung_shunt"] == pytest.approx(expected(), rel=1e-6)
    assert out["interval_95"][0] < expected() < out["interval_95"][1]
    corrected = answer("--posterior", "as-seen", "--body-thickness", "200 mm")
    assert corrected["lung_shunt"] == pytest.approx(expected(), rel=1e-6)  # one thickness of the body for both
    assert "no-attenuation-correction" in [m["code"] for m in out["messages"]]
    assert "no-attenuation-correction" not in [m["code"] for m in corrected["messages"]]
    assert main([*common, "--lung-transmission", "0.6"]) == 2
    assert "only of counts that were read off elsewhere" in capsys.readouterr().err


COUNTED: dict[str, Any] = {"lung_counts": (5000.0, 5000.0), "liver_counts": (45000.0, 45000.0)}
SCOUT = Image.from_array(np.ones((4, 4, 4)), unit="counts", spacing_mm=(10, 10, 10))


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        ({"scout": SCOUT, "views": PlanarViewOptions(corrections=PlanarShuntOptions(scatter_fraction=0.1))},
         "`scatter_fraction`: only of planar views"),
        ({"scout": SCOUT, "views": PlanarViewOptions(corrections=PlanarShuntOptions(border_relative_sd=0.1))},
         "`border_relative_sd`: only of planar views"),
        ({"scout": SCOUT, "views": PlanarViewOptions(posterior="mirrored")}, "`posterior`: only of planar views"),
        ({"planar": "p.dcm", "spect": SpectShuntOptions(border_mm=2.0, residual_scatter_sd=0.1)},
         "`border_mm`, `residual_scatter_sd`: only of a SPECT/CT"),
        ({"planar": "p.dcm", "reading": ScoutOptions(ct="ct", registered=True)},
         "`registered`: only of a SPECT/CT"),
        ({"views": PlanarViewOptions(**COUNTED), "structures": "rois.nii.gz"}, "`structures`: not of counts"),
        ({"views": PlanarViewOptions(**COUNTED, energy_window=2)}, "`energy_window`: not of counts"),
        ({"views": PlanarViewOptions(**COUNTED), "reading": ScoutOptions(activity_unit="counts")},
         "`activity_unit`: not of counts"),
        ({"views": PlanarViewOptions(**COUNTED), "spect": SpectShuntOptions(dome_margin_mm=5.0)},
         "`dome_margin_mm`: only of a SPECT/CT"),
    ],
)  # fmt: skip
def test_options_of_another_way_are_refused(asked: dict[str, Any], refused: str) -> None:
    with pytest.raises(InputError, match=re.escape(refused)):
        lung_shunt(**asked)


def test_a_stated_mass_of_the_lungs_gives_the_dose_and_stands_in_the_provenance() -> None:
    found = lung_shunt(
        views=PlanarViewOptions(**COUNTED),
        spect=SpectShuntOptions(lung_mass_kg=0.8),
        dose=LungDoseOptions(planned_gbq=2.0),
    )
    assert found.lung_dose is not None
    assert found.lung_dose.lung_mass_used_kg == 0.8
    assert found.provenance.parameters["lung_mass_kg"] == 0.8


@pytest.mark.parametrize(("name", "constant"), [("clinical", 15.87), ("label", 15.87), ("ensdf", 15.52)])
def test_the_lung_dose_takes_every_constant_of_the_nuclide(name: Any, constant: float) -> None:
    asked = LungDoseOptions(planned_gbq=2.0, nuclide="Ho-166", convention=name)
    found = lung_shunt(views=PlanarViewOptions(**COUNTED), dose=asked).lung_dose
    assert found is not None
    assert found.dose_constant_j_per_gbq == pytest.approx(constant, abs=0.005)
    assert found.dose_lung_gy.value == pytest.approx(0.1 * 2.0 * constant, rel=1e-3)
