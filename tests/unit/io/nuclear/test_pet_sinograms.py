"""Interfile sinograms of a PET: files written by STIR's documentation, and by our own writer; what is refused."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

import hepatica
from command_line import hepatica as command
from hepatica.case.sorting.heap import sort_heap
from hepatica.core import Grid
from hepatica.core.image import Stated
from hepatica.errors import InputError
from hepatica.imaging.pet.acquisition.raw import Bed, PetRawData
from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.frame import Frame
from hepatica.imaging.pet.lines import LineProjector
from hepatica.imaging.pet.list_mode import ListData, ListIterations, reconstruct_list
from hepatica.imaging.pet.randoms import drawn_randoms, expected_randoms
from hepatica.imaging.pet.scanner import Scanner, scanner, scanner_names
from hepatica.imaging.pet.sinogram import Lines, Position, Segment, SinogramLayout, sinogram_layout
from hepatica.io.describe import describe
from hepatica.io.interfile.sinogram_write import write_sinograms
from hepatica.io.pet_raw.own_format import write_raw
from hepatica.io.pet_raw.read import read_pet_raw
from hepatica.io.pet_raw.sinogram_files import Beside

START = datetime(2026, 3, 2, 10, 15, tzinfo=UTC)

# ---------------------------------------------------------------------------------------------------------------------
# A scanner of 12 modules with gaps, 36 + 12 places around and 7 + 1 along, so small that all of it is seen at once

SMALL = replace(
    scanner("discovery_690"), name="small", radius_mm=40.0, modules_around=12, module_crystals=3, module_gap=1,
    modules_along=2, module_rings=3, module_ring_gap=1, pitch_mm=(5.0, 6.0), crystal_mm=(4.9, 5.9, 20.0), block=(3, 3),
    ring_difference=5, field_mm=60.0, coincidence_window_ns=4.0,
    time_of_flight=replace(scanner("discovery_690").time_of_flight, bins=9, bin_ps=4000 / 9, fwhm_ps=500.0),
)  # fmt: skip
AROUND, ALONG = 48, 7
"""Places of it, those without a crystal too."""


def made(machine: Scanner = SMALL, *, live: float = 0.9) -> PetRawData:
    """Random coincidences of crystals of unequal singles."""
    rng = np.random.default_rng(5)
    singles = rng.uniform(2000, 6000, machine.crystals)
    prompts = drawn_randoms(machine, singles / 10, 300.0, bed_mm=-40.5, seed=1)
    bed = Bed(Frame(prompts, singles), live_fraction=live)
    return PetRawData(machine, (bed,), "Y-90", START, (3.5, -12.0), None, "", True)


def keys(events: Coincidences) -> list[tuple[int, ...]]:
    return sorted(zip(events.first.tolist(), events.second.tolist(), events.tof_bin.tolist(), strict=True))


def written(folder: Path, raw: PetRawData, **compressed: int | None) -> Path:
    write_sinograms(folder, raw, raw.beds[0], sinogram_layout(raw.scanner, **compressed))  # type: ignore[arg-type]
    return folder


@pytest.fixture(scope="module")
def raw() -> PetRawData:
    return made()


@pytest.fixture(scope="module")
def plain(raw: PetRawData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nothing compressed, with time of flight."""
    return written(tmp_path_factory.mktemp("plain") / "sinogram", raw)


# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("position", ["HFS", "HFP", "FFS", "FFP"])
@pytest.mark.parametrize("name", scanner_names())
def test_detectors_of_stir_are_the_crystals_that_lie_there(name: str, position: Position) -> None:
    # STIR (LORCoordinates; coordinates of the user's guide): x = R sin psi, y = -R cos psi, psi = 2 pi d / N + offset,
    # z with the ring; of a patient HFS x is left, y posterior, z to the feet, of the others as they lie.
    machine = scanner(name)
    made_by_us = sinogram_layout(machine.untimed)
    # a patient who is turned about or over sees the other half of an odd place: its offset has the other sign
    signs = {"HFS": (1, 1, -1), "HFP": (-1, -1, -1), "FFS": (-1, 1, 1), "FFP": (1, -1, 1)}[position]
    offset = made_by_us.view_offset_deg * signs[0] * signs[1]
    layout = replace(made_by_us, position=position, view_offset_deg=offset)
    psi = 2 * np.pi * np.arange(layout.detectors) / layout.detectors + np.radians(offset)
    crystal = layout.crystal_of_detector
    real = crystal >= 0
    assert sorted(crystal[real]) == list(range(machine.crystals_per_ring))
    stated = np.stack([signs[0] * np.sin(psi), -signs[1] * np.cos(psi)], axis=1)[real]
    ours = machine.positions_mm()[crystal[real], :2]
    turned = np.arccos(np.clip((stated * ours).sum(axis=1) / np.hypot(*ours.T), -1, 1))
    # flat modules have their crystals up to a quarter of one beside even places around the ring, gaps taken up or not
    assert turned.max() < 0.75 * 2 * np.pi / layout.detectors
    ring = layout.ring_of_ring
    z = signs[2] * (np.arange(layout.rings) - (layout.rings - 1) / 2) * machine.pitch_mm[1]
    np.testing.assert_allclose(machine.ring_z_mm[ring[ring >= 0]], z[ring >= 0], atol=1e-9)


def test_bins_have_the_ring_pairs_of_the_documentation() -> None:
    # Michelogram of 5 rings, span 3 (Fahey, J Nucl Med Technol 2002;30:39): segment 0 holds differences -1 to 1
    assert [Segment(-1, 1).ring_pairs(a, 5) for a in range(3)] == [[(0, 0)], [(1, 0), (0, 1)], [(1, 1)]]
    assert Segment(2, 4).axials(5) == 5
    assert [Segment(2, 4).ring_pairs(a, 5) for a in range(3)] == [[(0, 2)], [(0, 3)], [(1, 3), (0, 4)]]
    assert Segment(-2, -2).ring_pairs(1, 5) == [(3, 1)]
    # GE Signa PET/MR of STIR's sample header: 45 rings, segments of 3 and then 2 differences
    rows = [(-44, -44, 1), (-43, -42, 5), (-1, 1, 89), (2, 3, 85), (40, 41, 9)]
    assert [Segment(low, high).axials(45) for low, high, _ in rows] == [number for *_, number in rows]


# ---------------------------------------------------------------------------------------------------------------------
# A file by hand: GE Discovery 690, span 3, views mashed by 2, eleven bins of time of flight put together


SOURCE = np.array([40.0, -30.0, 25.0])
"""Of a point of activity, LPS mm; the scanner's middle lies at AXIS and BED_MM."""
AXIS, BED_MM = (5.0, -10.0), 12.0
RINGS, N, RADIUS, SPACING = 24, 576, 405.1 + 9.4, 6.54
TANGENTIAL, VIEWS, TIMINGS, MASHED = 61, 144, 5, 11
SEGMENTS = [(-1, 1), (2, 4), (-4, -2)]
HEADER = """!INTERFILE  :=
!imaging modality := PT
name of data file := {data}
originating system := GE Discovery 690
!version of keys := STIR6.0
!GENERAL DATA :=
patient orientation := head_in
patient rotation := supine
!GENERAL IMAGE DATA :=
!type of data := PET
study date := 2026:03:02
study time := 10:00:00
imagedata byte order := BIGENDIAN
!PET STUDY (General) :=
!PET data type := Emission
applied corrections := {{None}}
isotope name := ^90^Yttrium
!number format := signed integer
!number of bytes per pixel := 2
number of dimensions := 5
matrix axis label [5] := timing positions
!matrix size [5] := 5
matrix axis label [4] := segment
!matrix size [4] := 3
matrix axis label [2] := view
!matrix size [2] := 144
matrix axis label [3] := axial coordinate
!matrix size [3] := {{ 47,43,43}}
matrix axis label [1] := tangential coordinate
!matrix size [1] := 61
TOF mashing factor := 11
minimum ring difference per segment := {{ -1,2,-4}}
maximum ring difference per segment := {{ 1,4,-2}}
Scanner parameters:=
Scanner type := GE Discovery 690
Number of rings := 24
Number of detectors per ring := 576
Inner ring diameter (cm) := 81.02
Average depth of interaction (cm) := 0.94
Distance between rings (cm) := 0.654
View offset (degrees) := 0
Maximum number of (unmashed) TOF time bins := 55
Size of unmashed TOF time bins (ps) := 89.0
TOF timing resolution (ps) := 550
End scanner parameters:=
number of time frames := 1
image duration (sec)[1] := 60
image relative start time (sec)[1] := 30
!END OF INTERFILE :=
"""


def bins_by_hand(number: int) -> tuple[np.ndarray, ...]:
    """Timing, segment, axial, view and tangential indices of bins through the source, by STIR's formulas."""
    rng = np.random.default_rng(3)
    # STIR's axes of a patient head first and supine, about the scanner's middle: left, posterior, feet
    x, y, z = SOURCE[0] - AXIS[0], SOURCE[1] - AXIS[1], -(SOURCE[2] - BED_MM)
    view = rng.integers(0, VIEWS, number)
    phi = np.pi * (view + 0.5) / VIEWS - np.pi / N
    # a line of angle phi passes at s = x cos phi + y sin phi, and s = R sin(pi t / N) without arc correction
    tangential = np.rint(N / np.pi * np.arcsin((x * np.cos(phi) + y * np.sin(phi)) / RADIUS)).astype(int)
    # along it, from its middle towards detector 1 (at phi + beta from the front)
    towards = x * np.sin(phi) - y * np.cos(phi)
    half = RADIUS * np.cos(np.pi * tangential / N)
    timing = np.rint(towards / (MASHED * 89.0 * 0.299792458 / 2)).astype(int)
    segment = rng.integers(0, 3, number)
    difference = np.array([0, 3, -3])[segment]
    # ring2 - ring1 is the difference: the line's z at the source is its middle's, less half of it towards detector 1
    middle = z + SPACING * difference / 2 * towards / half
    axial = np.rint(2 * middle / SPACING + RINGS - 1).astype(int) - np.array([0, 2, 2])[segment]
    axials = np.array([47, 43, 43])[segment]
    kept = (axial >= 0) & (axial < axials)
    return tuple(a[kept] for a in (timing + TIMINGS // 2, segment, axial, view, tangential + TANGENTIAL // 2))


def test_a_file_written_from_stirs_documentation_puts_the_source_where_it_is(tmp_path: Path) -> None:
    timing, segment, axial, view, tangential = bins_by_hand(4000)
    blocks = [[np.zeros((n, VIEWS, TANGENTIAL), ">i2") for n in (47, 43, 43)] for _ in range(TIMINGS)]
    for k, s, a, v, t in zip(timing, segment, axial, view, tangential, strict=True):
        blocks[k][s][a, v, t] += 1
    (tmp_path / "scan.s").write_bytes(b"".join(block.tobytes() for row in blocks for block in row))
    (tmp_path / "scan.hs").write_text(HEADER.format(data="scan.s"))
    found, notes = read_pet_raw(tmp_path / "scan.hs", beside=Beside(bed_mm=BED_MM, axis_mm=AXIS))
    assert (found.nuclide, found.start, found.axis_mm) == ("Y-90", datetime(2026, 3, 2, 10, 0, 30), AXIS)
    assert {"sinogram-compressed", "sinogram-without-dead-time"} <= {note.code for note in notes}
    (bed,) = found.beds
    events = bed.frame.prompts
    assert found.scanner.time_of_flight is not None
    assert (found.scanner.time_of_flight.bins, found.scanner.ring_difference) == (5, 4)
    # lines farther from the axis than the file's are left out, and nothing else: the source lies within
    assert len(events) == len(timing)
    # about the scanner's axis
    grid = Grid.axial((21, 21, 21), spacing_mm=(6.0, 6.0, 6.0), origin_mm=(-25.0, -80.0, -35.0))
    projector = LineProjector(found.scanner, grid, BED_MM)
    laid = projector.back(np.ones(len(events), np.float32), events) ** 4.0
    centre = [
        (laid.sum(axis=tuple(b for b in range(3) if b != a)) * np.arange(21)).sum() / laid.sum() for a in range(3)
    ]
    # half a voxel; by another sign of any axis, of the time or of the ring difference it lies centimetres away
    np.testing.assert_allclose(projector.grid.to_mm([centre])[0], SOURCE - [*AXIS, 0], atol=3.0)


# ---------------------------------------------------------------------------------------------------------------------


def test_a_list_there_and_back(raw: PetRawData, plain: Path) -> None:
    back, notes = read_pet_raw(plain, scanner=SMALL)
    bed, own = back.beds[0], raw.beds[0]
    assert keys(bed.frame.prompts) == keys(own.frame.prompts)
    for name in ("scanner", "nuclide", "start", "axis_mm", "simulated"):
        assert getattr(back, name) == getattr(raw, name)
    assert (bed.bed_mm, bed.duration_s, bed.live_fraction) == (own.bed_mm, own.duration_s, own.live_fraction)
    assert [note.code for note in notes] == ["randoms-from-sinogram"]
    # fan sums by a ring taken as round, as of delayed coincidences; the total is theirs
    a, b = (expected_randoms(own.frame.prompts, x.frame.singles_cps) for x in (bed, own))
    assert a.sum() == pytest.approx(b.sum(), rel=0.03)
    assert np.corrcoef(a, b)[0, 1] > 0.95


def test_the_list_and_its_sinogram_make_the_same_image(raw: PetRawData, plain: Path) -> None:
    (bed,) = read_pet_raw(plain, scanner=SMALL)[0].beds
    grid = Grid.axial((9, 9, 5), spacing_mm=(6.0, 6.0, 8.0), origin_mm=(-24.0, -24.0, -16.0 - 40.5))
    projector = LineProjector(SMALL, grid, -40.5)
    images = []
    for events in (raw.beds[0].frame.prompts, bed.frame.prompts):
        background = expected_randoms(events, bed.frame.singles_cps / 3)
        data = ListData(events, background, np.ones(grid.shape, np.float32))
        images.append(reconstruct_list(data, projector, ListIterations(5, 1)))
    # the same sums of single precision in another order
    np.testing.assert_allclose(images[1], images[0], rtol=1e-4, atol=1e-5 * images[0].max())
    assert images[0].max() > 1.2 * images[0].mean()


@pytest.mark.parametrize("compressed", [
    {"span": 3}, {"mashing": 4}, {"span": 5, "mashing": 2, "timings_mashed": 3}, {"span": 7, "timings_mashed": None}
])  # fmt: skip
def test_compressed_counts_stay_in_their_bins(raw: PetRawData, tmp_path: Path, compressed: dict[str, int]) -> None:
    back, notes = read_pet_raw(written(tmp_path / "s", raw, **compressed), scanner=SMALL)
    layout = sinogram_layout(SMALL, **compressed)
    lines = Lines(layout, layout.measured())
    own = raw.beds[0].frame.prompts
    own = own if layout.timings > 1 else own.without_time_of_flight()
    own = Coincidences(
        layout.scanner, own.first, own.second, (own.tof_bin // (own.bins // layout.timings)).astype(np.int16), 1.0
    )
    held = []
    for events in (own, back.beds[0].frame.prompts):
        segment, bins = lines.binned(events)
        held.append(np.sort(np.stack([segment, bins.view, bins.tangential, bins.axial, bins.timing]), axis=1))
        held[-1] = np.unique(
            np.stack([segment, bins.view, bins.tangential, bins.axial, bins.timing]), axis=1, return_counts=True
        )
    np.testing.assert_array_equal(held[0][0], held[1][0])
    np.testing.assert_array_equal(held[0][1], held[1][1])
    assert ("sinogram-compressed" in {note.code for note in notes}) == bool({"span", "mashing"} & set(compressed))


def test_of_a_sinogram_with_fewer_lines_the_scanner_sees_no_more(raw: PetRawData, tmp_path: Path) -> None:
    whole = sinogram_layout(SMALL)
    fewer = replace(
        whole, segments=tuple(s for s in whole.segments if abs(s.low) <= 4), tangential=whole.tangential - 7
    )
    machine = fewer.measured()
    # a gap between modules may lie between two rings: of 4 places 3 are rings of crystals
    assert (machine.ring_difference, machine.field_mm < SMALL.field_mm) == (3, True)
    own = raw.beds[0].frame.prompts
    kept = machine.accepts(own.first, own.second)
    places = [ring // 3 * 4 + ring % 3 for ring in (own.first // 36, own.second // 36)]
    _, bins = Lines(whole, SMALL).binned(own)
    # an even number of positions has one more on one side: its lines are left out, as they lie in no bin on the other
    position = bins.tangential - whole.tangential // 2 + fewer.tangential // 2
    within = (position >= 0) & (position < fewer.tangential)
    held_by_bins = within & (np.abs(places[0] - places[1]) <= 4)
    assert held_by_bins[kept].all()
    held = own.taken(held_by_bins)
    bed = replace(raw.beds[0], frame=Frame(held, raw.beds[0].frame.singles_cps))
    write_sinograms(tmp_path, raw, bed, replace(fewer, scanner=SMALL))
    back, notes = read_pet_raw(tmp_path, scanner=SMALL)
    assert back.scanner == machine
    assert keys(back.beds[0].frame.prompts) == keys(own.taken(kept))
    (note,) = [note for note in notes if note.code == "sinogram-lines-left-out"]
    assert f"{len(held) - int(kept.sum())} of {len(held)} counts" in note.text


def test_delayed_coincidences_are_randoms_too(raw: PetRawData, plain: Path, tmp_path: Path) -> None:
    delayed = drawn_randoms(SMALL, raw.beds[0].counted.singles_cps / 4, 300.0, bed_mm=-40.5, seed=9)
    bed = replace(raw.beds[0], frame=Frame(delayed, raw.beds[0].frame.singles_cps))
    other = written(tmp_path / "delayed", replace(raw, beds=(bed,)), timings_mashed=None) / "prompts.hs"
    back, _ = read_pet_raw(plain / "prompts.hs", scanner=SMALL, beside=Beside(randoms=other))
    found = back.beds[0].counted
    expected = expected_randoms(delayed, found.singles_cps).mean()
    truth = expected_randoms(delayed, raw.beds[0].counted.singles_cps / 4).mean()
    # 20 000 delayed coincidences: 1 %, and the ring taken as round
    assert expected == pytest.approx(truth, rel=0.05)
    longer = replace(raw, beds=(replace(bed, frame=replace(bed.frame, prompts=replace(delayed, duration_s=60.0))),))
    other = written(tmp_path / "longer", longer) / "prompts.hs"
    with pytest.raises(InputError, match=r"prompts\.hs: lasts 60 s, the prompts 300 s"):
        read_pet_raw(plain, scanner=SMALL, beside=Beside(randoms=other))


# ---------------------------------------------------------------------------------------------------------------------


def edited(plain: Path, tmp_path: Path, edit: Callable[[str], str]) -> Path:
    """The pair of files with another header."""
    for name in ("prompts.s", "randoms.s", "randoms.hs"):
        (tmp_path / name).write_bytes((plain / name).read_bytes())
    text = (plain / "prompts.hs").read_text()
    assert edit(text) != text
    (tmp_path / "prompts.hs").write_text(edit(text))
    return tmp_path


def line(key: str, value: str | None) -> Callable[[str], str]:
    """Another value for a key, or none."""

    def edit(text: str) -> str:
        rows = [row for row in text.splitlines() if row.partition(" :=")[0].strip("! ") != key]
        last = rows.index("!END OF INTERFILE :=")
        return "\n".join([*rows[:last], *([] if value is None else [f"{key} := {value}"]), *rows[last:]])

    return edit


@pytest.mark.parametrize(("key", "value", "said"), [
    ("applied corrections", "{arc correction}", "arc-corrected bins are no lines of crystals"),
    ("applied corrections", "{randoms, decay}", "corrected numbers are no counts"),
    ("applied corrections", None, "is missing, and STIR takes such data as arc-corrected"),
    ("PET data type", "Normalisation", "'Normalisation' is not read; Emission is"),
    ("Number of rings", "8", "axial positions; 8 rings make"),
    ("Number of detectors per ring", "36", "36; small has 48, the places without a crystal"),
    ("Inner ring diameter (cm)", "9", "45 mm as radius or spacing; small has 40 mm"),
    ("Distance between rings (cm)", "0.7", "7 mm as radius or spacing; small has 6 mm"),
    ("Scanner geometry", "BlocksOnCylindrical", "is not read; Cylindrical is"),
    ("matrix axis label [4]", "view", "the order is not read"),
    ("matrix size [1]", "9", "holds more than the header says|lie in bins"),
    ("matrix size [3]", "25", "25 views of"),
    ("matrix size [5]", "8", "an odd number"),
    ("matrix size [5]", "7", "cover 3111.* ps; small counts within 4000 ps"),
    ("TOF mashing factor", "1.5", "1.5 bins of 444.444 ps put together make none"),
    ("minimum ring difference per segment", "{ 0, 1 }", "13 whole numbers, one for each segment"),
    ("number of time frames", "2", "2 in one file; 1 is read"),
    ("image duration (sec)[1]", None, "is missing"),
    ("study time", None, "study time is missing: the image would have no instant"),
    ("study time", "25:99:00", "is no instant"),
    ("radionuclide name[1]", "^4^Unobtainium", "is no nuclide that is known"),
    ("patient orientation", "sideways", "head_in or feet_in, supine or prone"),
    ("hepatica middle of scanner (LPS mm)", None, "state `bed_mm` .* and `axis_mm`"),
    ("hepatica live fraction", "2", "2 is no share"),
    ("number of bytes per pixel", "3", "of 3 bytes is not read"),
    ("imagedata byte order", "MIDDLE", None),
    ("number format", "bit", "'bit' of 1 bytes is not read"),
    ("data offset in bytes", "-4", "-4 is none"),
    ("name of data file", "other.s", "other.s is not beside the header"),
])  # fmt: skip
def test_a_header_that_is_not_supported_is_refused_with_its_key(
    plain: Path, tmp_path: Path, key: str, value: str | None, said: str | None
) -> None:
    folder = edited(plain, tmp_path, line(key, value))
    if said is None:
        # one byte has no order
        assert read_pet_raw(folder, scanner=SMALL)[0].prompts
        return
    with pytest.raises(InputError, match=said) as caught:
        read_pet_raw(folder, scanner=SMALL)
    assert str(folder / "prompts.hs") in str(caught.value)


def stored(folder: Path, change: Callable[[np.ndarray], np.ndarray]) -> Path:
    """Prompts as floats, with some other values."""
    values = np.frombuffer((folder / "prompts.s").read_bytes(), "u1").astype("<f4")
    (folder / "prompts.s").write_bytes(change(values).tobytes())
    text = (folder / "prompts.hs").read_text()
    text = text.replace("unsigned integer", "float").replace("bytes per pixel := 1", "bytes per pixel := 4")
    (folder / "prompts.hs").write_text(text)
    return folder


def with_value(value: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda values: np.where(np.arange(values.size) == values.argmax(), np.float32(value), values)


@pytest.mark.parametrize(("change", "said"), [
    (with_value(-3), "holds -3 in a bin: prompts are not negative"),
    (with_value(2.37), "holds 2.37 in a bin: prompts are whole numbers"),
    (with_value(np.nan), "a bin that is not finite"),
    (with_value(3e9), "more than 500000000 counts"),
    (lambda values: values[:-5], "is cut short"),
    (lambda values: np.append(values, np.float32(0)), "holds more than the header says"),
    (lambda values: values + 1, "places without a crystal of small: gaps were filled"),
])  # fmt: skip
def test_numbers_that_are_no_counts_are_refused(
    plain: Path, tmp_path: Path, change: Callable[[np.ndarray], np.ndarray], said: str
) -> None:
    folder = stored(edited(plain, tmp_path, line("originating system", "any")), change)
    with pytest.raises(InputError, match=said):
        read_pet_raw(folder, scanner=SMALL)


def test_packed_floats_in_the_other_order_are_the_same_list(raw: PetRawData, plain: Path, tmp_path: Path) -> None:
    layout = sinogram_layout(SMALL)
    values = np.frombuffer((plain / "prompts.s").read_bytes(), "u1").astype(">f4")
    out, at = [], 0
    for _ in range(layout.timings):
        for segment in layout.segments:
            shape = (layout.views, segment.axials(ALONG), layout.tangential)
            size = int(np.prod(shape))
            out.append(values[at : at + size].reshape(shape).transpose(1, 0, 2).tobytes())
            at += size
    (tmp_path / "prompts.s.gz").write_bytes(gzip.compress(b"".join(out), 1))
    text = (plain / "prompts.hs").read_text().replace("unsigned integer", "short float").replace("LITTLE", "BIG")
    text = text.replace("pixel := 1", "pixel := 4").replace("[3]", "[0]").replace("[2]", "[3]").replace("[0]", "[2]")
    # STIR takes an underscore in a key for a space
    text = text.replace("number of dimensions", "Number_Of_Dimensions")
    assert "Number_Of_Dimensions" in text
    (tmp_path / "prompts.hs").write_text(text)
    back, _ = read_pet_raw(tmp_path, scanner=SMALL)
    assert keys(back.beds[0].frame.prompts) == keys(raw.beds[0].frame.prompts)
    assert not back.beds[0].frame.singles_cps.any()


def test_an_unknown_scanner_and_a_wrong_one_are_refused(plain: Path) -> None:
    with pytest.raises(InputError, match=r"'small' is no scanner that hepatica knows.*state `scanner`"):
        read_pet_raw(plain)
    with pytest.raises(InputError, match="9 timing positions; GE Discovery ST has no time of flight"):
        read_pet_raw(plain, scanner=scanner("discovery_st"))


# ---------------------------------------------------------------------------------------------------------------------


def test_the_verb_takes_the_place_of_a_sinogram_alone(plain: Path, raw: PetRawData, tmp_path: Path) -> None:
    ct = hepatica.Image.from_array(
        np.zeros((2, 2, 2), np.float32), unit="HU", grid=Grid.axial((2, 2, 2), spacing_mm=(9, 9, 9))
    )
    placed = hepatica.PetOptions(image=hepatica.PetImageOptions(bed_mm=3.0))
    with pytest.raises(InputError, match="raw data in memory say themselves what is stated: `bed_mm`"):
        hepatica.reconstruct_pet(raw, ct=ct, options=placed)
    write_raw(tmp_path / "a.npz", raw)
    with pytest.raises(InputError, match="is a list, which says it itself; stated are `randoms`"):
        hepatica.reconstruct_pet(tmp_path / "a.npz", ct=ct, randoms=plain / "randoms.hs")
    folder = edited(plain, tmp_path, line("hepatica middle of scanner (LPS mm)", None))
    back, _ = read_pet_raw(folder, scanner=SMALL, beside=Beside(bed_mm=7.0, axis_mm=(1.0, 2.0)))
    assert (back.beds[0].bed_mm, back.axis_mm) == (7.0, (1.0, 2.0))


def test_the_command_names_the_option_that_is_missing(plain: Path, tmp_path: Path) -> None:
    done = command("reconstruct-pet", plain, "--ct", tmp_path / "ct", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "prompts.hs: originating system: 'small' is no scanner that hepatica knows; state --scanner" in done.stderr


def test_a_sinogram_is_described_and_sorted_as_raw_data(plain: Path, tmp_path: Path) -> None:
    (prompts, randoms) = describe(plain).series
    assert prompts.what == randoms.what == "PET sinogram (not reconstructed)"
    assert (prompts.nuclide, prompts.date) == ("Y-90", "2026-03-02")
    (item,) = sort_heap(plain, [datetime(2026, 3, 2, 8)]).found
    assert item.guess.role == "therapy-coincidences"
    assert [file.name for file in item.files] == ["prompts.hs", "prompts.s", "randoms.hs", "randoms.s"]
    (tmp_path / "prompts.hs").write_bytes((plain / "prompts.hs").read_bytes())
    assert not sort_heap(tmp_path, []).found
    with pytest.raises(InputError, match="these are sinograms of a PET, not an image"):
        hepatica.read_image(plain / "prompts.hs", role="activity", stated=Stated(unit="counts"))


@pytest.mark.parametrize(("options", "said"), [
    ({"span": 2}, "an axial span of 2 is none"),
    ({"mashing": 5}, "24 views cannot be mashed by 5"),
    ({"timings_mashed": 2}, "9 bins of time of flight cannot be put together by 2"),
])  # fmt: skip
def test_what_cannot_be_compressed_so_is_refused(options: dict[str, int], said: str) -> None:
    with pytest.raises(InputError, match=said):
        sinogram_layout(SMALL, **options)


def test_options_of_a_sinogram_without_one_are_refused() -> None:
    with pytest.raises(InputError, match="no effect without `sinogram_span`"):
        hepatica.PetScanOptions(sinogram_mashing=2)


def test_ring_differences_with_gaps_are_refused() -> None:
    with pytest.raises(InputError, match="every one from -n to n is needed once"):
        SinogramLayout(SMALL, 24, 11, (Segment(0, 0), Segment(1, 1)))
