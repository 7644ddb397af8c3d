"""ITK transform files as text (.tfm, .txt), as ITK, ANTs, elastix and 3D Slicer write them.

ITK's transform takes points of the fixed image to the moving image, in LPS millimetres, as a `Transform` does. Each
holds parameters and fixed parameters (the centre); a composite transform applies the last in the file first. Layouts:
ITK Software Guide, chapter 3.9, and each class's SetParameters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepatica.core.text.files import text_file
from hepatica.core.transform import Affine, Transform
from hepatica.errors import GeometryError, InputError, OutputError
from hepatica.io.files import atomic_output
from hepatica.io.input_files import require_file

FIRST_LINE = "#Insight Transform File V1.0"

MAX_TRANSFORMS = 1000
"""Transforms of one file; registration programs chain a handful."""

_FACT = re.compile(r"^#hepatica (fixed_frame|moving_frame|uncertainty_mm|method): (.*)$")

_FAR_MM = 1e7
"""A shift beyond ten kilometres is no patient's."""

Numbers = Sequence[float]
Matrix = NDArray[np.float64]


def read_itk_transform(path: Path | str) -> Transform:
    """Transform of an ITK text file.

    Raises
    ------
    InputError
        If it cannot be read, is no such file, or holds a transform that is none of translation, rigid, similarity,
        affine or a composite of these.
    """
    path = Path(path)
    require_file(path)
    lines = [line.strip() for line in text_file(path, "an ITK transform file").splitlines()]
    if not lines or not lines[0].startswith("#Insight Transform File"):
        raise InputError(f"{path}: cannot be read: it does not begin with {FIRST_LINE!r}")
    facts = {match[1]: match[2].strip() for line in lines if (match := _FACT.match(line))}
    steps: list[Affine] = []
    for name, parameters, fixed in _transforms(path, lines):
        if name == "IdentityTransform":
            continue
        if name not in _KINDS:
            known = ", ".join(sorted(_KINDS))
            raise InputError(
                f"{path}: holds a {name[:60]}; read are {known} and their composite",
                remedy="save a deformation as a displacement field (.nii.gz, .mha, .nrrd)",
            )
        least, most, made = _KINDS[name]
        if not least <= len(parameters) <= most or len(fixed) < (0 if name == "TranslationTransform" else 3):
            raise InputError(f"{path}: {name}: {len(parameters)} parameters and {len(fixed)} fixed ones are no such")
        try:
            steps.append(Affine(_around(*made(parameters, fixed), fixed[:3])))
        except GeometryError as error:
            raise InputError(f"{path}: {name}: {error}") from error
    uncertainty = facts.get("uncertainty_mm")
    if uncertainty is not None and not re.fullmatch(r"\d+(\.\d+)?", uncertainty):
        raise InputError(f"{path}: uncertainty_mm: {uncertainty[:40]!r} is not a number")
    return Transform(
        tuple(reversed(steps)),
        facts.get("fixed_frame"),
        facts.get("moving_frame"),
        None if uncertainty is None else float(uncertainty),
        facts.get("method", f"ITK transform {path.name}"),
    )


def write_itk_transform(path: Path | str, transform: Transform) -> Path:
    """Write a transform without displacement fields as one AffineTransform; frames and uncertainty stand in comments.

    Raises
    ------
    GeometryError
        If it holds a field.
    OutputError
        If the suffix is none of ITK's text, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in (".tfm", ".txt"):
        raise OutputError(f"{path}: the name of an ITK transform file must end in .tfm or .txt")
    matrix = transform.matrix
    parameters = [*matrix[:3, :3].ravel().tolist(), *matrix[:3, 3].tolist()]
    facts = {
        "fixed_frame": transform.fixed_frame,
        "moving_frame": transform.moving_frame,
        "uncertainty_mm": None if transform.uncertainty_mm is None else f"{transform.uncertainty_mm:.6f}",
        "method": " ".join(transform.method.split()) or None,
    }
    text = [
        FIRST_LINE,
        *(f"#hepatica {key}: {value}" for key, value in facts.items() if value is not None),
        "#Transform 0",
        "Transform: AffineTransform_double_3_3",
        "Parameters: " + " ".join(f"{number:.17g}" for number in parameters),
        "FixedParameters: 0 0 0",
    ]
    with atomic_output(path) as temporary:
        temporary.write_text("\n".join(text) + "\n", encoding="utf-8")
    return path


def _transforms(path: Path, lines: Sequence[str]) -> list[tuple[str, list[float], list[float]]]:
    """Name, parameters and fixed parameters of each transform but the composite's own line."""
    found: list[tuple[str, list[float], list[float]]] = []
    for number, line in enumerate(lines, 1):
        key, mark, value = line.partition(":")
        if not line or line.startswith("#"):
            continue
        if not mark or key not in ("Transform", "Parameters", "FixedParameters"):
            raise InputError(f"{path}, line {number}: {line[:60]!r} is no line of an ITK transform file")
        if key == "Transform":
            name = value.strip()
            if not re.fullmatch(r"\w+_(double|float)_3_3", name):
                raise InputError(f"{path}, line {number}: {name[:60]!r} is no transform of three dimensions")
            if not name.startswith("CompositeTransform_"):
                found.append((name.rsplit("_", 3)[0], [], []))
            if len(found) > MAX_TRANSFORMS:
                raise InputError(f"{path}: holds more than {MAX_TRANSFORMS} transforms")
        elif not found:
            raise InputError(f"{path}, line {number}: {key} stands before any transform")
        else:
            _, parameters, fixed = found[-1]
            (parameters if key == "Parameters" else fixed).extend(_numbers(path, number, value))
    if not found:
        raise InputError(f"{path}: holds no transform")
    return found


def _numbers(path: Path, line: int, text: str) -> list[float]:
    try:
        found = [float(word) for word in text.split()]
    except ValueError:
        found = [np.nan]
    if not np.isfinite(found).all() or (found and max(map(abs, found)) > _FAR_MM):
        raise InputError(f"{path}, line {line}: {text.strip()[:60]!r} are not finite numbers of a patient")
    return found


def _around(turn: Matrix, shift: Numbers, centre: Numbers) -> Matrix:
    """Matrix of x -> turn (x - centre) + centre + shift."""
    matrix = np.eye(4)
    middle = np.asarray(centre) if len(centre) == 3 else np.zeros(3)
    matrix[:3, :3], matrix[:3, 3] = turn, middle + np.asarray(shift) - turn @ middle
    return matrix


def _affine(parameters: Numbers, _: Numbers) -> tuple[Matrix, Numbers]:
    return np.reshape(parameters[:9], (3, 3)), parameters[9:12]


def _translation(parameters: Numbers, _: Numbers) -> tuple[Matrix, Numbers]:
    return np.eye(3), parameters[:3]


def _euler(parameters: Numbers, fixed: Numbers) -> tuple[Matrix, Numbers]:
    """Angles about x, y, z in radians, then the shift; order Z X Y unless the fourth fixed parameter says Z Y X."""
    a, b, c = parameters[:3]
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    is_zyx = len(fixed) > 3 and fixed[3] != 0
    return (about_z @ about_y @ about_x if is_zyx else about_z @ about_x @ about_y), parameters[3:6]


def _versor(parameters: Numbers, _: Numbers) -> tuple[Matrix, Numbers]:
    """The vector part of a unit quaternion, then the shift, then the scale of a similarity."""
    x, y, z = parameters[:3]
    rest = 1 - x * x - y * y - z * z
    if rest < -1e-6:
        raise GeometryError("its versor is longer than 1")
    w = np.sqrt(max(0.0, rest))
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    scale = parameters[6] if len(parameters) > 6 else 1.0
    return turn * scale, parameters[3:6] if len(parameters) > 3 else (0.0, 0.0, 0.0)


_KINDS: dict[str, tuple[int, int, Callable[[Numbers, Numbers], tuple[Matrix, Numbers]]]] = {
    "AffineTransform": (12, 12, _affine),
    "MatrixOffsetTransformBase": (12, 12, _affine),
    "TranslationTransform": (3, 3, _translation),
    "Euler3DTransform": (6, 6, _euler),
    "VersorTransform": (3, 3, _versor),
    "VersorRigid3DTransform": (6, 6, _versor),
    "Similarity3DTransform": (7, 7, _versor),
}
"""Fewest and most parameters of each transform, and what makes matrix and shift of them."""
