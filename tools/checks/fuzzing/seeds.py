"""Sound files of every format: made ones, and real images of the folder that HEPATICA_DATA names, cut small."""

from __future__ import annotations

import functools
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing import stages
from fuzzing.case import Files, Seed, Stage

WHEN = datetime(2026, 3, 2, 10, 30)
ROOT = Path(__file__).resolve().parents[3]


def contents(folder: Path) -> Files:
    """All files below a folder."""
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def written(write: Callable[[Path], Any]) -> Files:
    """What a function writes into a folder."""
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write(Path(name))
        return contents(Path(name))


def images_of(role: str, target: str = "", unit: str | None = None) -> dict[str, Stage]:
    """Stages for an image."""
    shown = ["inspect", "FILE", *([] if unit is None else ["--voxel-unit", unit])]
    stated = {} if unit is None else {"unit": unit}
    return {
        "inspect": stages.inspected(target, unit),
        "read": stages.image(role, target, **stated),
        "command": stages.command(*shown, target=target),
    }


def _thin() -> Any:
    from dicom_makers import small_grid
    from hepatica.core import Grid

    grid = small_grid()
    return Grid((7, 5, 3), grid.affine, grid.frame_of_reference)


def _slices(kind: str, syntax: str | None = None, **changes: Any) -> Files:
    import dicom_makers as made

    grid = _thin()
    values = made.ramp(grid)
    if syntax and "4.9" in syntax:
        grid = type(grid)((40, 36, 3), grid.affine, grid.frame_of_reference)
        values = np.random.default_rng(1).integers(0, 1000, grid.shape)
    maker = {"ct": made.ct_series, "pet": made.pet_series, "nm": made.nm_volume}[kind]
    return written(
        lambda folder: made.save(maker(grid, values, **changes), folder, **({"syntax": syntax} if syntax else {}))
    )


def _gdcm(syntax: str) -> Files:
    import dicom_makers as made

    def write(folder: Path) -> None:
        for path in made.save(made.ct_series(_thin(), made.ramp(_thin())), folder):
            made.compress_by_gdcm(path, syntax)

    return written(write)


def _dicom_images() -> Iterator[Seed]:
    yield Seed("ct", _slices("ct"), images_of("ct"), "dicom")
    yield Seed("pet", _slices("pet"), images_of("activity"), "dicom")
    yield Seed("nm", _slices("nm"), images_of("activity"), "dicom")
    yield Seed("planar", _planar(), {**images_of("planar"), "planar": stages.planar()}, "dicom")


def _planar() -> Files:
    import dicom_makers as made

    dataset = made.base(made.NM_CLASS, "NM")
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "WHOLE BODY", "EMISSION"]
    dataset.NumberOfFrames, dataset.PixelSpacing, dataset.ActualFrameDuration = 2, ["2.0", "3.0"], "600000"
    made.put_pixels(dataset, np.arange(40).reshape(2, 4, 5).astype(np.uint16))
    return written(lambda folder: made.save(dataset, folder))


def _own_writers() -> Iterator[Seed]:
    from hepatica.core import Grid, Kind, Region, Volume
    from hepatica.core.context import DicomContext
    from hepatica.imaging.spect.projections import Orbit, Projections, Window
    from hepatica.io.dicom.images.projections import write_projections
    from hepatica.io.dicom.images.write import Emission, write_ct
    from hepatica.io.dicom.rtdose import write_rtdose
    from hepatica.io.dicom.structures.rtstruct import write_rtstruct
    from hepatica.io.dicom.structures.seg import write_seg

    context = DicomContext.invented(slices=4, patient_id="P1", when=WHEN)
    grid = Grid.axial((12, 10, 4), spacing_mm=(3, 4, 5), frame_of_reference=context.frame_of_reference)
    values = np.zeros(grid.shape)
    values[3:8, 3:8, 1:4] = 1
    regions = [Region.from_coverage("Liver", grid, values), Region.from_coverage("Lung", grid, np.roll(values, 2, 0))]
    on = {
        "inspect": stages.inspected(),
        "structures": stages.structures(grid),
        "command": stages.command("inspect", "FILE"),
    }
    yield Seed(
        "rtstruct", written(lambda f: write_rtstruct(f / "a.dcm", regions, context, image_grid=grid)), on, "dicom"
    )
    yield Seed("seg", written(lambda f: write_seg(f / "a.dcm", regions, context)), on, "dicom")
    yield Seed("seg", written(lambda f: write_seg(f / "a.dcm", regions, context, fractional=True)), on, "dicom")
    dose = {"inspect": stages.inspected(), "dose": stages.dose("a.dcm")}
    yield Seed(
        "rtdose",
        written(lambda f: write_rtdose(f / "a.dcm", Volume(grid, 50 * values, Kind.DOSE), context)),
        dose,
        "dicom",
    )
    hu = Volume(grid, 40 * values, Kind.HU)
    yield Seed("ct", written(lambda f: write_ct(f, hu, context)), images_of("ct"), "dicom")
    orbit = Orbit.circular(6, radius_mm=200.0, start_deg=20.0, arc_deg=-360)
    counts = np.random.default_rng(1).integers(0, 500, (2, 6, 9, 5))
    windows = (Window(187.5, 229.2, "peak"), Window(166.7, 187.5, "low"))
    data = Projections(
        counts, orbit, windows, (4.8, 3.9), 20.0, axis_mm=(12.5, -31.0, -250.0), start=WHEN, nuclide="Lu-177"
    )
    emission = Emission(
        nuclide="Lu-177", start=WHEN, frame_duration_s=20.0, administered_bq=7.4e9, administered_at=WHEN
    )
    taken = {
        "inspect": stages.inspected(),
        "projections": stages.projections(),
        "command": stages.command("inspect", "FILE"),
    }
    yield Seed(
        "projections",
        written(lambda f: write_projections(f / "a.dcm", data, context, emission, heads=2)),
        taken,
        "dicom",
    )
    yield _multi_echo(context)


def _multi_echo(context: Any) -> Seed:
    from hepatica.core import Grid
    from hepatica.imaging.mri.echoes import MultiEcho
    from hepatica.io.dicom.mr.write import write_multi_echo

    grid = Grid.axial((6, 5, 2), spacing_mm=(3, 4, 5), frame_of_reference=context.frame_of_reference)
    random = np.random.default_rng(2)
    magnitude, phase = random.uniform(1, 90, (2, *grid.shape)), random.uniform(-3, 3, (2, *grid.shape))
    scan = MultiEcho.from_arrays(
        magnitude, echo_times_s=(0.0012, 0.0024), field_t=1.5, grid=grid, phase=phase, time=WHEN
    )
    stages_of = {"inspect": stages.inspected(), "read": stages.multi_echo()}
    files = written(lambda f: write_multi_echo(f / "mr", scan, context, description="gre"))
    return Seed("mr", files, stages_of, "dicom")


def _compressed() -> Iterator[Seed]:
    for name, syntax in (("j2k", ".4.90"), ("rle", ".5")):
        yield Seed(name, _slices("ct", f"1.2.840.10008.1.2{syntax}"), images_of("ct"), "dicom")
    yield Seed("rle", _slices("nm", "1.2.840.10008.1.2.5"), images_of("activity"), "dicom")
    yield Seed("deflate", _deflated(), images_of("ct"), "bytes")
    try:
        yield Seed("jls", _gdcm("1.2.840.10008.1.2.4.80"), images_of("ct"), "dicom")
        yield Seed("jpeg", _gdcm("1.2.840.10008.1.2.4.70"), images_of("ct"), "dicom")
    except ImportError:
        return


def _deflated() -> Files:
    import io

    import pydicom

    found: Files = {}
    for name, content in _slices("ct").items():
        dataset = pydicom.dcmread(io.BytesIO(content))
        dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
        out = io.BytesIO()
        dataset.save_as(out, enforce_file_format=True)
        found[name] = out.getvalue()
    return found


def _volumes() -> Iterator[Seed]:
    import nibabel
    import SimpleITK as sitk  # noqa: N813

    from hepatica.core import Grid, Kind, Volume
    from hepatica.io.itk import write_itk

    grid = Grid.axial((9, 8, 6), spacing_mm=(3, 4, 5))
    values = np.random.default_rng(2).uniform(0, 100, grid.shape).astype(np.float32)
    labels = np.zeros(grid.shape, dtype=np.uint8)
    labels[2:5, 2:6, 1:4], labels[5:8, 2:6, 1:4] = 1, 2
    names = b'{"1": "liver", "2": "tumour 1"}'
    for suffix in (".nii", ".nii.gz", ".mha", ".nrrd"):
        name = f"a{suffix}"
        kind, damage = ("mha" if suffix == ".mha" else suffix[1:]), "nifti" if "nii" in suffix else "header"
        made = written(lambda f, name=name: write_itk(Volume(grid, values, Kind.COUNTS), f / name))
        read = {**images_of("activity", name, "counts"), "dose": stages.dose(name)}
        yield Seed(kind, made, read, damage, name)
        made = written(lambda f, name=name: write_itk(Volume(grid, labels, Kind.LABEL), f / name))
        yield Seed("labels", made | {"a.json": names}, {"structures": stages.structures(grid, name)}, damage, name)
        yield Seed("labels", made | {"a.json": names}, {"structures": stages.structures(grid, name)}, "json", "a.json")
        yield Seed(
            "labels",
            made | {"a.csv": b"label,name\n1,liver\n2,tumour 1\n"},
            {"structures": stages.structures(grid, name)},
            "csv",
            "a.csv",
        )

    def plain(folder: Path, suffix: str, **how: bool) -> None:
        sitk.WriteImage(sitk.GetImageFromArray(values.transpose(2, 1, 0)), str(folder / f"a{suffix}"), **how)

    for suffix, name in ((".mhd", "a.mhd"), (".nhdr", "a.nhdr"), (".mha", "a.mha"), (".nrrd", "a.nrrd")):
        made = written(lambda f, suffix=suffix: plain(f, suffix, useCompression=False))
        yield Seed(suffix[1:], made, images_of("activity", name, "counts"), "header", name)
    second = written(lambda f: nibabel.save(nibabel.Nifti2Image(values, np.diag([3.0, 4, 5, 1])), f / "a.nii"))
    yield Seed("nii", second, images_of("activity", "a.nii", "counts"), "bytes", "a.nii")
    yield _slicer(grid, labels)


def _slicer(grid: Any, labels: Any) -> Seed:
    lines = [
        "NRRD0004", "type: unsigned char", "dimension: 3", "space: left-posterior-superior", "sizes: 9 8 6",
        "space directions: (3,0,0) (0,4,0) (0,0,5)", "kinds: domain domain domain", "encoding: raw",
        "space origin: (0,0,0)",
    ]  # fmt: skip
    for n, name in enumerate(("liver", "tumour 1")):
        lines += [f"Segment{n}_ID:=s{n}", f"Segment{n}_Name:={name}", f"Segment{n}_LabelValue:={n + 1}",
                  f"Segment{n}_Layer:=0", f"Segment{n}_Color:=0.5 0.{n} 1"]  # fmt: skip
    content = ("\n".join(lines) + "\n\n").encode() + labels.transpose(2, 1, 0).tobytes()
    return Seed(
        "slicer", {"a.seg.nrrd": content}, {"structures": stages.structures(grid, "a.seg.nrrd")}, "header", "a.seg.nrrd"
    )


def _interfile() -> Iterator[Seed]:
    from hepatica.core import Grid

    head = {
        "!INTERFILE ": "", "!imaging modality": "nucmed", "name of data file": "a.v",
        "imagedata byte order": "LITTLEENDIAN",
        "!number format": "float", "!number of bytes per pixel": "4", "!matrix size [1]": "5", "!matrix size [2]": "4",
        "!matrix size [3]": "3", "scaling factor (mm/pixel) [1]": "2.5", "scaling factor (mm/pixel) [2]": "2.5",
        "scaling factor (mm/pixel) [3]": "3.5", "first pixel offset (mm) [1]": "-10",
        "first pixel offset (mm) [2]": "-20",
        "first pixel offset (mm) [3]": "5", "patient orientation": "head_in", "patient rotation": "supine",
    }  # fmt: skip
    data = np.random.default_rng(3).uniform(0, 9, 60).astype("<f4").tobytes()
    files = {"a.hv": _lines(head), "a.v": data}
    yield Seed("interfile", files, images_of("activity", "a.hv", "counts"), "header", "a.hv")
    labels = np.repeat(np.arange(3), 20).astype("u1").tobytes()
    head |= {"!number format": "unsigned integer", "!number of bytes per pixel": "1"}
    grid = Grid.axial((5, 4, 3), spacing_mm=(2.5, 2.5, 3.5), origin_mm=(-10, -20, -12))
    on = {"structures": stages.structures(grid, "a.hv")}
    yield Seed("interfile", {"a.hv": _lines(head), "a.v": labels}, on, "header", "a.hv")
    scan = {
        "!INTERFILE ": "", "name of data file": "a.s", "imagedata byte order": "LITTLEENDIAN",
        "!number format": "float",
        "!number of bytes per pixel": "4", "!number of projections": "6", "!matrix size [1]": "5",
        "!matrix size [2]": "4",
        "scaling factor (mm/pixel) [1]": "4.5", "scaling factor (mm/pixel) [2]": "4.5", "!extent of rotation": "360",
        "start angle": "180", "direction of rotation": "CW", "radius": "200", "image duration (sec) [1]": "120",
        "energy window lower level [1]": "126", "energy window upper level [1]": "154", "isotope name": "Tc-99m",
        "study date": "2026:03:02", "study time": "10:30:00",
    }  # fmt: skip
    counts = np.random.default_rng(4).integers(0, 99, 120).astype("<f4").tobytes()
    taken = {"inspect": stages.inspected("a.hs"), "projections": stages.projections("a.hs")}
    yield Seed("interfile", {"a.hs": _lines(scan), "a.s": counts}, taken, "header", "a.hs")


def _sinograms() -> Iterator[Seed]:
    from hepatica.imaging.pet.acquisition.raw import Bed, PetRawData
    from hepatica.imaging.pet.frame import Frame
    from hepatica.imaging.pet.randoms import drawn_randoms
    from hepatica.imaging.pet.scanner import TimeOfFlight, scanner
    from hepatica.imaging.pet.sinogram import sinogram_layout
    from hepatica.io.interfile.sinogram_write import write_sinograms

    machine = replace(
        scanner("discovery_690"), name="small", radius_mm=30.0, modules_around=8, module_crystals=2, module_gap=1,
        modules_along=1, module_rings=3, pitch_mm=(6.0, 6.0), crystal_mm=(5.9, 5.9, 20.0), block=(2, 3),
        ring_difference=2, field_mm=50.0, coincidence_window_ns=4.0, time_of_flight=TimeOfFlight(3, 4000 / 3, 500.0),
    )  # fmt: skip
    singles = np.full(machine.crystals, 300.0)
    prompts = drawn_randoms(machine, singles, 300.0, bed_mm=-40.5, seed=1)
    raw = PetRawData(machine, (Bed(Frame(prompts, singles)),), "Y-90", WHEN, (3.5, -12.0), None, "P1", True)
    for span, mashing, timings in ((1, 1, None), (3, 2, 1)):
        layout = sinogram_layout(machine, span=span, mashing=mashing, timings_mashed=timings)
        files = written(lambda folder, layout=layout: write_sinograms(folder, raw, raw.beds[0], layout))
        read = {"raw": stages.pet_raw(machine, "prompts.hs"), "inspect": stages.inspected("prompts.hs")}
        yield Seed("sinogram", files, read, "header", "prompts.hs")


def _lines(head: dict[str, str]) -> bytes:
    return "".join(f"{key} := {value}\n" for key, value in (head | {"!END OF INTERFILE": ""}).items()).encode()


@functools.cache
def seeds(data: Path | None = None, names: tuple[str, ...] = ()) -> dict[str, tuple[Seed, ...]]:
    """Seeds by format.

    Parameters
    ----------
    data : Path or None
        Folder of real images; without it only made ones.
    names : tuple of str
        Formats of which real images are wanted; all if empty.
    """
    from fuzzing.real_seeds import real_seeds

    found: dict[str, list[Seed]] = {}
    for seed in (*_made(), *(real_seeds(data, names) if data is not None else ())):
        found.setdefault(seed.name, []).append(seed)
    return {name: tuple(group) for name, group in sorted(found.items())}


@functools.cache
def _made() -> tuple[Seed, ...]:
    """Seeds of no real image: made once, whichever real ones are asked for beside them."""
    from fuzzing.patient_seeds import patient_seeds
    from fuzzing.registration_seeds import registration_seeds
    from fuzzing.text_seeds import text_seeds

    return (
        *_dicom_images(),
        *_own_writers(),
        *_compressed(),
        *_volumes(),
        *_interfile(),
        *_sinograms(),
        *text_seeds(),
        *patient_seeds(),
        *registration_seeds(),
    )
