"""How each kind of file is read: the public functions and verbs of hepatica, and what of their answer is compared."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing.case import Answer, Stage


class UnsoundError(AssertionError):
    """An answer that cannot be right whatever the file says: a NaN, a shape that is none, no JSON document."""


def _sha(values: Any) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:16]


def _said(messages: Any) -> str:
    return " | ".join(f"{message.code}: {message}" for message in messages)


def of_image(image: Any) -> Answer:
    """Voxels, place, unit and instant of an image.

    Raises
    ------
    UnsoundError
        If a voxel or the place is not finite, or shape and grid differ.
    """
    values, affine = image.volume.values, image.grid.affine
    if not np.isfinite(values).all():
        raise UnsoundError("a voxel is not finite")
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) == 0:
        raise UnsoundError(f"affine {affine.tolist()}")
    if values.shape != image.grid.shape or values.size == 0:
        raise UnsoundError(f"shape {values.shape} on a grid of {image.grid.shape}")
    _as_json({"facts": _document(image)})
    digest = [_sha(values.astype(np.float64)), np.round(affine, 9).tolist(), image.kind, image.unit, str(image.time)]
    return Answer(digest, int(values.nbytes), _said(image.messages))


def of_structures(found: Any) -> Answer:
    """Names and shapes of structures.

    Raises
    ------
    UnsoundError
        If a volume is not finite or is negative.
    """
    digest = []
    size = 0
    for region in found.regions:
        if not np.isfinite(region.volume_ml) or region.volume_ml < 0:
            raise UnsoundError(f"{region.name}: {region.volume_ml} mL")
        size += region.grid.size * 4
        digest.append([region.name, round(region.volume_ml, 6)])
    said = _said(found.messages)
    return Answer(digest, size, said + " ".join((*found.empty, *found.refused)))


def of_result(result: Any) -> Answer:
    """Numbers of a verb's result, without texts and provenance; and that it can be shown."""
    content = result.as_dict()
    _as_json(content)
    str(result)
    kept = {key: value for key, value in content.items() if key not in ("provenance", "messages", "path")}
    return Answer(_numbers(kept), 0, _said(result.messages))


def _numbers(value: Any) -> Any:
    """A document without its texts, which may tell what bears on no number."""
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items() if not isinstance(item, str)}
    if isinstance(value, list):
        return [_numbers(item) for item in value if not isinstance(item, str)]
    return value


def _document(value: Any) -> Any:
    from hepatica.core.document import document

    return document(value)


def _as_json(value: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UnsoundError(f"no JSON document: {error}") from error


def _file(folder: Path, target: str) -> Path:
    """The file by its name, or the first under another one."""
    if not target:
        return folder
    named = folder / target
    return named if named.exists() else min((f for f in folder.rglob("*") if f.is_file()), default=named)


@contextlib.contextmanager
def captured() -> Iterator[Callable[[], str]]:
    """Standard output and error as UTF-8 of a pipe, kept."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))

    def text() -> str:
        found = []
        for stream in (out, err):
            stream.flush()
            raw = stream.buffer
            assert isinstance(raw, io.BytesIO)
            found.append(raw.getvalue().decode("utf-8"))
        return "\n".join(found)

    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield text


def command(*arguments: str, target: str = "") -> Stage:
    """A command line, in this process; FILE among the arguments is the file. A refusal is HepaticaError again."""

    def run(folder: Path) -> Answer:
        from hepatica.cli.main import main
        from hepatica.errors import HepaticaError

        given = [str(_file(folder, target)) if argument == "FILE" else argument for argument in arguments]
        with captured() as text:
            code = main(given)
        if code not in (0, 1, 2):
            raise UnsoundError(f"exit code {code}")
        if code:
            raise HepaticaError(text())
        return Answer(None, 0, text())

    return run


def monitored() -> Stage:
    """The verb monitor: a folder of frames replayed by a setup, with readings."""

    def run(folder: Path) -> Answer:
        import hepatica

        watching = hepatica.WatchOptions(rehearsals=200, false_alarms=0.05, look_s=2.0)
        result = hepatica.monitor(
            folder / "frames", setup=folder / "setup.json", readings=folder / "readings.csv",
            which=hepatica.FrameOptions(replay=True), watching=watching,
        )  # fmt: skip
        return of_result(result)

    return run


def inspected(target: str = "", unit: str | None = None) -> Stage:
    """The verb inspect."""

    def run(folder: Path) -> Answer:
        import hepatica

        return Answer(None, 0, of_result(hepatica.inspect_images(_file(folder, target), voxel_unit=unit)).said)

    return run


def image(role: str, target: str = "", **stated: Any) -> Stage:
    """The door of images."""

    def run(folder: Path) -> Answer:
        import hepatica

        return of_image(hepatica.read_image(_file(folder, target), role=role, stated=hepatica.Stated(**stated)))

    return run


def structures(grid: Any, target: str = "") -> Stage:
    """The door of structures, on a grid."""

    def run(folder: Path) -> Answer:
        import hepatica

        return of_structures(hepatica.read_structures(_file(folder, target), grid))

    return run


def projections(target: str = "") -> Stage:
    """The reader of projections that the verbs of SPECT use."""

    def run(folder: Path) -> Answer:
        from hepatica.io.dicom.images.projections import read_projections

        found = read_projections(_file(folder, target), radius_mm=250.0, sum_gates=True)
        data = found.projections
        if not np.isfinite(data.counts).all() or not np.isfinite(data.orbit.angle_deg).all():
            raise UnsoundError("counts or angles are not finite")
        digest = [_sha(data.counts), _sha(data.orbit.angle_deg), _sha(data.orbit.radius_mm), data.pixel_mm, data.view_s]
        return Answer(digest, int(data.counts.nbytes), _said(found.messages))

    return run


def pet_raw(machine: Any, target: str = "") -> Stage:
    """The reader of PET raw data."""

    def run(folder: Path) -> Answer:
        from hepatica.io.pet_raw.read import read_pet_raw

        found, notes = read_pet_raw(_file(folder, target), scanner=machine)
        digest: list[Any] = [found.nuclide, str(found.start), found.axis_mm, found.scanner.ring_difference]
        size = 0
        for bed in found.beds:
            events, singles = bed.frame.prompts, bed.frame.singles_cps
            if not np.isfinite(singles).all() or singles.min() < 0:
                raise UnsoundError("singles are none")
            digest += [*map(_sha, (events.first, events.second, events.tof_bin)), _sha(singles), bed.bed_mm]
            size += sum(int(part.nbytes) for part in (events.first, events.second, events.tof_bin, singles))
        return Answer(digest, size, _said(notes))

    return run


def multi_echo() -> Stage:
    """The reader of multi-echo MR."""

    def run(folder: Path) -> Answer:
        from hepatica.io.dicom.mr.read import read_multi_echo

        found = read_multi_echo(folder, role="after")
        parts = [found.magnitude, *([] if found.phase is None else [found.phase])]
        if not all(np.isfinite(part).all() for part in parts):
            raise UnsoundError("magnitude or phase are not finite")
        affine = np.round(found.grid.affine, 9).tolist()
        digest = [*map(_sha, parts), affine, found.echo_times_s, found.field_t, str(found.time)]
        return Answer(digest, sum(int(part.nbytes) for part in parts), _said(found.messages))

    return run


def planar(target: str = "") -> Stage:
    """Planar images, as lung shunt and calibration read them."""

    def run(folder: Path) -> Answer:
        from hepatica.io.dicom.images.planar import read_planar

        files = read_planar([_file(folder, target)])
        answers = [of_image(view.image) for file in files for view in file.views if hasattr(view.image, "volume")]
        return Answer([a.digest for a in answers], sum(a.decoded_bytes for a in answers), "")

    return run


def dose(target: str) -> Stage:
    """A dose map, as the verbs read it."""

    def run(folder: Path) -> Answer:
        from hepatica.workflow.sources import as_dose

        volume = as_dose(_file(folder, target), role="dose").volume
        if not np.isfinite(volume.values).all() or not np.isfinite(volume.grid.affine).all():
            raise UnsoundError("a dose is not finite")
        return Answer([_sha(volume.values), np.round(volume.grid.affine, 9).tolist()], int(volume.values.nbytes))

    return run


def called(verb: str, target: str, **given: Any) -> Stage:
    """A verb whose first argument is the file."""

    def run(folder: Path) -> Answer:
        import hepatica

        return of_result(getattr(hepatica, verb)(_file(folder, target), **given))

    return run


def loaded(module: str, function: str, target: str, *more: Any) -> Stage:
    """A reader by its module, whose answer is compared by its document or its repr."""

    def run(folder: Path) -> Answer:
        import importlib

        found = getattr(importlib.import_module(f"hepatica.{module}"), function)(_file(folder, target), *more)
        try:
            return Answer(_document(found))
        except TypeError:
            return Answer(repr(found))

    return run


PLACES_MM = ((0.0, 0.0, 0.0), (13.0, -21.0, 8.0), (-4.0, 5.0, 31.0))
"""Where transforms are held against each other."""


def transform(target: str, frames: dict[str, str | None] | None = None) -> Stage:
    """A transform, as the verbs read it."""

    def run(folder: Path) -> Answer:
        from hepatica.io.registration.read import read_transform

        given = {key.removesuffix("_frame"): frame for key, frame in (frames or {}).items()}
        found, notes = read_transform(_file(folder, target), **given)
        places = found.points_mm(PLACES_MM)
        if not np.isfinite(places).all():
            raise UnsoundError("a point is led nowhere")
        size = sum(step.vectors_mm.nbytes for step in found.steps if hasattr(step, "vectors_mm"))
        return Answer([np.round(places, 6).tolist(), found.uncertainty_mm], size, _said(notes))

    return run


def landmarks(target: str) -> Stage:
    """Landmarks, as the verbs read them."""

    def run(folder: Path) -> Answer:
        from hepatica.io.registration.landmarks import read_landmarks

        found = read_landmarks(_file(folder, target))
        if not np.isfinite(found.points_mm).all() or len(found.names) != len(found.points_mm):
            raise UnsoundError("a landmark lies nowhere")
        return Answer([list(found.names), np.round(found.points_mm, 6).tolist()])

    return run


def checkpoint(target: str, key: str) -> Stage:
    """What an interrupted reconstruction left behind."""

    def run(folder: Path) -> Answer:
        from hepatica.io.checkpoint import Checkpoint

        start = Checkpoint.open(_file(folder, target), key).start
        if start is None:
            return Answer("none")
        if not np.isfinite(start.image).all():
            raise UnsoundError("an image of a checkpoint is not finite")
        return Answer([_sha(start.image), start.iterations], int(start.image.nbytes))

    return run
