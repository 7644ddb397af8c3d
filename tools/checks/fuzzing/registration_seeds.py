"""Seeds of registrations: DICOM objects, ITK transforms, displacement fields, landmarks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from fuzzing import stages
from fuzzing.case import Seed

POINTS = {"dome": (-10.5, -20.0, 30.0), "hilum": (1.0, 2.0, 3.0), "tip": (40.0, -7.0, 12.0), "fossa": (8.0, 9.0, -3.0)}


def registration_seeds() -> Iterator[Seed]:
    """Transforms and landmarks, in every form that is read."""
    yield from _dicom()
    yield from _itk()
    yield from _fields()
    yield from _landmarks()


def _transforms() -> tuple[Any, Any]:
    """One that turns and shifts, one that bends."""
    from hepatica.core import Grid
    from hepatica.core.transform import DisplacementField, Transform

    matrix = np.eye(4)
    matrix[:2, :2] = [[0.8, -0.6], [0.6, 0.8]]
    matrix[:3, 3] = (12.5, -7.0, 30.25)
    rigid = Transform.affine(matrix, uncertainty_mm=1.5, method="rigid")
    grid = Grid.axial((6, 5, 4), spacing_mm=(10, 12, 15), origin_mm=(-20, -30, -10))
    at = np.moveaxis(np.indices(grid.shape), 0, -1)
    vectors = np.stack([np.sin(at[..., 0]), 0.5 * np.cos(at[..., 1]), -0.8 * np.sin(at[..., 2])], axis=-1)
    return rigid, Transform((DisplacementField(grid, vectors),))


def _dicom() -> Iterator[Seed]:
    from dataclasses import replace

    from fuzzing.seeds import WHEN, written
    from hepatica.core.context import DicomContext
    from hepatica.io.registration.dicom_write import write_registration

    rigid, bent = _transforms()
    fixed, moving = (DicomContext.invented(slices=2, patient_id="P1", when=WHEN) for _ in range(2))
    frames = {"fixed_frame": fixed.frame_of_reference, "moving_frame": moving.frame_of_reference}
    read = {"inspect": stages.inspected(), "transform": stages.transform("a.dcm", frames)}
    for made in (rigid, bent):
        stated = replace(made, **frames)
        files = written(lambda f, stated=stated: write_registration(f / "a.dcm", stated, fixed, moving))
        yield Seed("reg", files, read, "dicom", "a.dcm", named=True)


def _itk() -> Iterator[Seed]:
    from fuzzing.seeds import written
    from hepatica.io.registration.itk_transform import write_itk_transform

    rigid, _ = _transforms()
    read = {"transform": stages.transform("a.tfm")}
    made = written(lambda f: write_itk_transform(f / "a.tfm", rigid))
    yield Seed("tfm", made, read, "header", "a.tfm")
    several = (
        "#Insight Transform File V1.0\n#Transform 0\nTransform: CompositeTransform_double_3_3\n#Transform 1\n"
        "Transform: Euler3DTransform_double_3_3\nParameters: 0.1 -0.2 0.3 5 6 -7\nFixedParameters: 10 20 30 0\n"
        "#Transform 2\nTransform: Similarity3DTransform_double_3_3\nParameters: 0.1 0.05 -0.02 1 2 3 1.1\n"
        "FixedParameters: 1 2 3\n"
    )
    yield Seed("tfm", {"a.tfm": several.encode()}, read, "header", "a.tfm")


def _fields() -> Iterator[Seed]:
    from fuzzing.seeds import written
    from hepatica.io.registration.fields import write_displacement_field

    _, bent = _transforms()
    for suffix in (".nii", ".nii.gz", ".mha", ".nrrd"):
        name = f"a{suffix}"
        made = written(lambda f, name=name: write_displacement_field(f / name, bent.steps[0]))
        damage = "nifti" if "nii" in suffix else "header"
        yield Seed("field", made, {"transform": stages.transform(name)}, damage, name)


def _landmarks() -> Iterator[Seed]:
    def seed(kind: str, name: str, text: str, damage: str) -> Seed:
        return Seed(kind, {name: text.encode()}, {"landmarks": stages.landmarks(name)}, damage, name)

    rows = [f"{name},{x},{y},{z}" for name, (x, y, z) in POINTS.items()]
    yield seed("landmarks", "a.csv", "\n".join(["name,x,y,z", *rows, ""]), "csv")
    head = "# Markups fiducial file version = 4.11\n# CoordinateSystem = {}\n"
    head += "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n"
    for system, sign in (("RAS", -1), ("LPS", 1)):
        rows = [
            f"n{number},{sign * x},{sign * y},{z},0,0,0,1,1,1,0,{name},,\n"
            for number, (name, (x, y, z)) in enumerate(POINTS.items())
        ]
        yield seed("landmarks", "a.fcsv", head.format(system) + "".join(rows), "header")
        points = [
            {"id": str(n), "label": name, "position": [sign * x, sign * y, z], "positionStatus": "defined"}
            for n, (name, (x, y, z)) in enumerate(POINTS.items())
        ]
        markups = [{"type": "Fiducial", "coordinateSystem": system, "controlPoints": points}]
        yield seed("landmarks", "a.mrk.json", json.dumps({"markups": markups}), "json")
