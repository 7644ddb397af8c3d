"""ITK transforms, displacement fields and landmarks: against SimpleITK, and what is damaged."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from hepatica.core import Grid
from hepatica.core.transform import DisplacementField, Transform
from hepatica.errors import GeometryError, HepaticaError, InputError
from hepatica.io.registration.fields import read_displacement_field, write_displacement_field
from hepatica.io.registration.itk_transform import read_itk_transform, write_itk_transform
from hepatica.io.registration.landmarks import pairs_of, read_landmarks
from hepatica.io.registration.read import read_transform

POINTS = np.array([[0.0, 0.0, 0.0], [12.0, -31.0, 45.0], [-80.0, 20.0, 9.0]])


def by_itk(transform: Any) -> np.ndarray:
    return np.array([transform.TransformPoint(tuple(point)) for point in POINTS])


def transforms() -> list[Any]:
    affine = sitk.AffineTransform(3)
    affine.SetMatrix((1.1, 0.1, 0, -0.05, 0.9, 0.02, 0, 0.03, 1.02))
    affine.SetTranslation((3, -4, 50))
    affine.SetCenter((10, 20, 30))
    euler = sitk.Euler3DTransform((5, 6, 7), 0.1, -0.2, 0.3, (1, 2, 3))
    zyx = sitk.Euler3DTransform((5, 6, 7), 0.1, -0.2, 0.3, (1, 2, 3))
    zyx.SetComputeZYX(True)
    versor = sitk.VersorRigid3DTransform((0, 0.6, 0.8), 0.4, (1, 2, 3), (9, 8, 7))
    similar = sitk.Similarity3DTransform(1.2, (1, 0, 0), 0.4, (1, 2, 3), (9, 8, 7))
    return [
        affine,
        euler,
        zyx,
        versor,
        similar,
        sitk.TranslationTransform(3, (4, 5, 6)),
        sitk.CompositeTransform([affine, euler, sitk.Transform(3, sitk.sitkIdentity), similar]),
    ]


@pytest.mark.parametrize("number", range(7))
def test_points_go_where_itk_takes_them(tmp_path: Path, number: int) -> None:
    transform = transforms()[number]
    path = tmp_path / "t.tfm"
    sitk.WriteTransform(transform, str(path))
    found, _ = read_transform(path, fixed="1.1", moving="1.2")
    assert np.allclose(found.points_mm(POINTS), by_itk(transform), atol=1e-5)
    assert (found.fixed_frame, found.moving_frame, found.uncertainty_mm) == ("1.1", "1.2", None)


def test_what_is_written_itk_reads_and_so_do_we(tmp_path: Path) -> None:
    matrix = np.array([[0.96, -0.28, 0, 5], [0.28, 0.96, 0, -7], [0, 0, 1, 11], [0, 0, 0, 1]])
    transform = Transform.affine(matrix, fixed_frame="1.1", moving_frame="1.2", uncertainty_mm=1.5, method="by hand")
    path = write_itk_transform(tmp_path / "t.tfm", transform)
    assert np.allclose(by_itk(sitk.ReadTransform(str(path))), transform.points_mm(POINTS))
    found = read_itk_transform(path)
    assert np.array_equal(found.matrix, matrix)
    assert (found.fixed_frame, found.moving_frame, found.uncertainty_mm, found.method) == ("1.1", "1.2", 1.5, "by hand")


HEAD = "#Insight Transform File V1.0\n#Transform 0\n"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "does not begin"),
        ("hello", "does not begin"),
        (HEAD, "holds no transform"),
        (
            HEAD + "Transform: BSplineTransform_double_3_3\nParameters: 1\nFixedParameters: 1\n",
            "holds a BSplineTransform",
        ),
        (HEAD + "Transform: AffineTransform_double_2_2\n", "line 3.*three dimensions"),
        (HEAD + "Transform: AffineTransform_double_3_3\nParameters: 1 2 3\nFixedParameters: 0 0 0\n", "3 parameters"),
        (HEAD + "Transform: TranslationTransform_double_3_3\nParameters: 1 nan 3\n", "line 4.*not finite"),
        (HEAD + "Transform: TranslationTransform_double_3_3\nParameters: 1 x 3\n", "line 4"),
        (HEAD + "Parameters: 1 2 3\n", "before any transform"),
        (
            HEAD + "Transform: AffineTransform_double_3_3\nParameters: " + "0 " * 12 + "\nFixedParameters: 0 0 0\n",
            "flattens",
        ),
        (HEAD + "rubbish\n", "line 3"),
    ],
)
def test_a_damaged_itk_file_is_refused_by_file_and_line(tmp_path: Path, text: str, match: str) -> None:
    path = tmp_path / "t.tfm"
    path.write_text(text)
    with pytest.raises(InputError, match=match) as told:
        read_transform(path)
    assert str(path) in str(told.value)


def test_what_is_not_read_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"HDF5.*save it as \.tfm"):
        read_transform(tmp_path / "t.h5")
    with pytest.raises(InputError, match="no such file"):
        read_transform(tmp_path / "t.tfm")
    path = tmp_path / "t.tfm"
    mirror = sitk.AffineTransform(3)
    mirror.SetMatrix((-1, 0, 0, 0, 1, 0, 0, 0, 1))
    sitk.WriteTransform(mirror, str(path))
    with pytest.raises(GeometryError, match="mirrors"):
        read_transform(path)


@pytest.fixture
def field(oblique_grid: Grid) -> DisplacementField:
    vectors = np.random.default_rng(4).normal(0, 0.2, (*oblique_grid.shape, 3)) + np.array([1.0, 2.0, 4.0])
    return DisplacementField(oblique_grid, vectors.astype(np.float32))


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".mha", ".nrrd"])
def test_a_field_comes_back_and_is_itks(tmp_path: Path, field: DisplacementField, suffix: str) -> None:
    path = write_displacement_field(tmp_path / f"field{suffix}", field)
    found, notes = read_displacement_field(path)
    at = field.grid.to_mm([[3, 4, 5], [10.4, 9.7, 7.2]])
    assert np.allclose(found.points_mm(at), field.points_mm(at), atol=1e-4)
    assert notes == []
    itk = sitk.DisplacementFieldTransform(sitk.ReadImage(str(path), sitk.sitkVectorFloat64))
    there = np.array([itk.TransformPoint(tuple(point)) for point in at])
    assert np.allclose(found.points_mm(at), there, atol=1e-4)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii"])
def test_a_field_keeps_its_uncertainty_and_that_it_must_not_be_used(
    tmp_path: Path, field: DisplacementField, suffix: str
) -> None:
    path = write_displacement_field(tmp_path / f"field{suffix}", field, uncertainty_mm=1.25)
    found, notes = read_displacement_field(path)
    assert found.uncertainty_mm == 1.25
    assert notes == []
    found, _ = read_displacement_field(write_displacement_field(path, field, warned=True))
    assert found.uncertainty_mm is None
    assert found.method.startswith("DO NOT USE")


@pytest.mark.parametrize(("intent", "signs"), [(1006, (-1, -1, 1)), (1007, (1, 1, 1)), (0, (1, 1, 1))])
def test_the_intent_of_a_nifti_says_where_its_vectors_run(
    tmp_path: Path, field: DisplacementField, intent: int, signs: tuple[int, int, int]
) -> None:
    path = write_displacement_field(tmp_path / "field.nii", field)
    raw = bytearray(path.read_bytes())
    raw[68:70] = struct.pack("<h", intent)
    path.write_bytes(raw)
    found, notes = read_displacement_field(path)
    step = found.steps[0]
    assert isinstance(step, DisplacementField)
    assert np.allclose(step.vectors_mm, field.vectors_mm * np.array(signs), atol=1e-5)
    assert [note.code for note in notes] == (["vectors-assumed"] if intent == 0 else [])
    if intent == 1006:
        # ITK turns them, too.
        itk = sitk.GetArrayFromImage(sitk.ReadImage(str(path))).transpose(2, 1, 0, 3)
        assert np.allclose(step.vectors_mm, itk, atol=1e-5)


def test_a_nrrd_in_ras_has_its_vectors_in_ras(tmp_path: Path, field: DisplacementField) -> None:
    path = write_displacement_field(tmp_path / "field.nrrd", field)
    head, _, rest = path.read_bytes().partition(b"\n\n")
    path.write_bytes(head.replace(b"left-posterior-superior", b"right-anterior-superior") + b"\n\n" + rest)
    step = read_displacement_field(path)[0].steps[0]
    assert isinstance(step, DisplacementField)
    assert np.allclose(step.vectors_mm, field.vectors_mm * [-1, -1, 1], atol=1e-5)
    assert np.allclose(step.grid.origin_mm, field.grid.origin_mm * [-1, -1, 1], atol=1e-4)


def test_what_is_no_displacement_is_refused(tmp_path: Path, field: DisplacementField) -> None:
    from hepatica.core import Kind, Volume
    from hepatica.io.itk import write_itk

    scalar = write_itk(Volume(field.grid, field.vectors_mm[..., 0], Kind.UNKNOWN), tmp_path / "one.nii.gz")
    with pytest.raises(InputError, match="three values a voxel"):
        read_transform(scalar)
    positions = DisplacementField(field.grid, field.vectors_mm * 1000)
    with pytest.raises(InputError, match="these are positions"):
        read_transform(write_displacement_field(tmp_path / "far.mha", positions))
    path = write_displacement_field(tmp_path / "reg.nii", field)
    raw = bytearray(path.read_bytes())
    raw[328:338] = b"NREG_TRANS"
    path.write_bytes(raw)
    with pytest.raises(InputError, match="another program's own warp"):
        read_transform(path)
    cut = tmp_path / "cut.mha"
    cut.write_bytes(write_displacement_field(tmp_path / "whole.mha", field).read_bytes()[:-200])
    with pytest.raises(HepaticaError, match=r"cut\.mha"):
        read_transform(cut)


def test_a_file_of_landmarks_is_no_transform(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("name,x,y,z\na,1,2,3\n")
    with pytest.raises(InputError, match="no transform is kept"):
        read_transform(path)


EXPECTED = {"dome": (-10.0, -20.0, 30.0), "hilum": (1.0, 2.0, 3.0)}


def markups(system: object, **changes: object) -> str:
    signs = (-1, -1, 1) if str(system) in ("RAS", "0") else (1, 1, 1)
    points = [
        {"id": str(n), "label": name, "position": [s * c for s, c in zip(signs, place, strict=True)], **changes}
        for n, (name, place) in enumerate(EXPECTED.items())
    ]
    return json.dumps({"markups": [{"type": "Fiducial", "coordinateSystem": system, "controlPoints": points}]})


FCSV = "# Markups fiducial file version = 4.11\n# CoordinateSystem = {}\n"
FCSV += "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.csv", "name,x,y,z\ndome,-10,-20,30\nhilum,1,2,3\n"),
        ("p.csv", "label,R,A,S\ndome,10,20,30\nhilum,-1,-2,3\n"),
        ("p.fcsv", FCSV.format("LPS") + "a,-10,-20,30,0,0,0,1,1,1,0,dome\nb,1,2,3,0,0,0,1,1,1,0,hilum\n"),
        ("p.fcsv", FCSV.format("0") + "a,10,20,30,0,0,0,1,1,1,0,dome\nb,-1,-2,3,0,0,0,1,1,1,0,hilum\n"),
        ("p.fcsv", "a,10,20,30,0,0,0,1,1,1,0,dome\nb,-1,-2,3,0,0,0,1,1,1,0,hilum\n"),
        ("p.mrk.json", markups("LPS")),
        ("p.mrk.json", markups("RAS")),
    ],
)
def test_points_are_in_lps_whatever_the_file_says(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    found = read_landmarks(path)
    assert found.names == tuple(EXPECTED)
    assert np.allclose(found.points_mm, list(EXPECTED.values()))


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("p.csv", "name,x,y\ndome,1,2\n", "x, y, z"),
        ("p.csv", "name,x,y,z\ndome,1,2,far\n", "row"),
        ("p.csv", "name,x,y,z\ndome,1,2,3\ndome,1,2,4\n", "two points are called 'dome'"),
        ("p.fcsv", FCSV.format("LPS"), "holds 0 points"),
        ("p.fcsv", FCSV.format("IJK") + "a,1,2,3,0,0,0,1,1,1,0,dome\n", "neither LPS nor RAS"),
        ("p.fcsv", FCSV.format("LPS") + "a,1,2\n", "line 4"),
        ("p.fcsv", FCSV.format("LPS") + "a,1,nan,3,0,0,0,1,1,1,0,dome\n", "no place of a patient"),
        ("p.mrk.json", "{}", "markups"),
        ("p.mrk.json", "[1", "not a JSON file"),
        ("p.mrk.json", markups("IJK"), "neither LPS nor RAS"),
        ("p.mrk.json", markups("LPS", position=[1, 2]), "position"),
        ("p.mrk.json", markups("LPS", position=[1, 2, True]), "position"),
        ("p.mrk.json", markups("LPS", positionStatus="undefined"), "holds 0 points"),
    ],
)
def test_damaged_points_are_refused_by_file(tmp_path: Path, name: str, text: str, match: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError, match=match) as told:
        read_landmarks(path)
    assert name in str(told.value)


def test_points_are_paired_by_name_or_in_order(tmp_path: Path) -> None:
    made = []
    for name, rows in (("a", "dome,1,2,3\nhilum,4,5,6\n"), ("b", "hilum,7,8,9\nother,0,0,0\ndome,1,1,1\n")):
        path = tmp_path / f"{name}.csv"
        path.write_text("name,x,y,z\n" + rows)
        made.append(read_landmarks(path))
    names, fixed, moving = pairs_of(*made)
    assert names == ("dome", "hilum")
    assert fixed.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert moving.tolist() == [[1, 1, 1], [7, 8, 9]]
    path = tmp_path / "c.csv"
    path.write_text("name,x,y,z\nF-1,1,2,3\n")
    with pytest.raises(InputError, match="share no name"):
        pairs_of(made[0], read_landmarks(path))
