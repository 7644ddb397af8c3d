"""Raw data of PET in files: what was written is read again; what is newer, damaged or another scanner's is refused."""

from __future__ import annotations

import json
import sys
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hepatica.core.options.toml_files import toml_file
from hepatica.errors import InputError, TimeError
from hepatica.imaging.pet.acquisition.raw import Bed, PetRawData
from hepatica.imaging.pet.coincidences import Coincidences
from hepatica.imaging.pet.frame import Frame
from hepatica.imaging.pet.randoms import drawn_randoms
from hepatica.imaging.pet.scanner import Scanner, scanner, scanner_from_table, scanner_names, scanner_table
from hepatica.io.pet_raw.own_format import read_raw, write_raw
from hepatica.io.pet_raw.petsird_files import load_petsird, read_petsird, write_petsird
from hepatica.io.pet_raw.read import read_pet_raw

LISTS = ("first", "second", "tof_bin")


def made(machine: Scanner, *, beds: int = 2, live: float = 0.81) -> PetRawData:
    """Random coincidences between all crystals, in two beds."""
    rng = np.random.default_rng(5)
    found = []
    for n in range(beds):
        singles = rng.integers(2000, 4000, machine.crystals) / 30.0
        prompts = drawn_randoms(machine, singles / 20, 30.0, bed_mm=-40.5 - 100 * n, seed=n)
        kinds, gate = rng.integers(0, 3, len(prompts), np.uint8), rng.integers(0, 4, len(prompts), np.uint8)
        found.append(Bed(Frame(prompts, singles, kinds), 30.0 * n, live, gate))
    return PetRawData(
        machine, tuple(found), "Y-90", datetime(2026, 3, 2, 10, 15, tzinfo=UTC), (3.5, -12.0), "1.2.3", "P-1", True
    )


@pytest.fixture(scope="module")
def raw() -> PetRawData:
    return made(scanner("discovery_690"))


@pytest.fixture
def file(raw: PetRawData, tmp_path: Path) -> Path:
    write_raw(tmp_path / "coincidences.npz", raw)
    return tmp_path / "coincidences.npz"


def test_every_shipped_scanner_is_the_same_from_its_table() -> None:
    for name in scanner_names():
        assert scanner_from_table(scanner_table(scanner(name)), "here") == scanner(name)


def test_what_was_written_is_read(raw: PetRawData, file: Path) -> None:
    back = read_raw(file)
    assert len(back.beds) == 2
    for a, b in zip(raw.beds, back.beds, strict=True):
        for name in LISTS:
            np.testing.assert_array_equal(getattr(a.frame.prompts, name), getattr(b.frame.prompts, name))
        np.testing.assert_array_equal(a.frame.singles_cps, b.frame.singles_cps)
        np.testing.assert_array_equal(a.frame.kinds, b.frame.kinds)
        np.testing.assert_array_equal(a.gate, b.gate)
        assert (a.start_s, a.duration_s, a.bed_mm, a.live_fraction) == (
            b.start_s,
            b.duration_s,
            b.bed_mm,
            b.live_fraction,
        )
    for name in ("scanner", "nuclide", "start", "axis_mm", "frame_of_reference", "patient_id", "simulated"):
        assert getattr(back, name) == getattr(raw, name)
    assert back.source.identity.patient_id == "P-1"


def test_the_same_data_give_the_same_bytes(raw: PetRawData, file: Path, tmp_path: Path) -> None:
    write_raw(tmp_path / "again.npz", raw)
    assert (tmp_path / "again.npz").read_bytes() == file.read_bytes()


def changed(file: Path, change: object, array: str = "header") -> Path:
    """The archive with its header, or one of its arrays, as `change` makes it."""
    with np.load(file) as archive:
        arrays = dict(archive)
    if array == "header":
        header = json.loads(bytes(arrays["header"]))
        change(header)  # type: ignore[operator]
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    else:
        arrays[array] = change(arrays[array].copy())  # type: ignore[operator]
    np.savez(file, **arrays)
    return file


def another_first(values: np.ndarray) -> np.ndarray:
    values[7] += 1
    return values


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda h: h.update(version=3), "version 3 of the format; this hepatica reads up to 2"),
        (lambda h: h.update(version="1"), "version '1' is none"),
        (lambda h: h.update(format="other"), "is no hepatica PET list mode"),
        (lambda h: h.pop("beds"), r"header: beds \(missing\)"),
        (lambda h: h["beds"][1].update(prompts=3), "bed 2: .* coincidences, not 3"),
        (lambda h: h["beds"][0].update(duration_s=-1.0), "frame of -1 s"),
        (lambda h: h["beds"][0]["sha256"].pop("gate"), "bed 1: holds"),
        (lambda h: h["scanner"].update(radius=-1.0), "must be above zero"),
        (lambda h: h.update(nuclide="Xx-1"), "Xx-1"),
        (lambda h: h.update(start="yesterday"), "header: ValueError"),
    ],
)
def test_a_header_that_says_something_else_is_refused(file: Path, change: object, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read_raw(changed(file, change))
    assert str(file) in str(caught.value)


def test_a_changed_list_is_refused(file: Path) -> None:
    with pytest.raises(InputError, match="bed 1: first: is not what its hash says"):
        read_raw(changed(file, another_first, "bed0_first"))


@pytest.mark.parametrize("kept", [0, 100, 0.5, 0.999])
def test_a_file_cut_short_is_refused(file: Path, kept: float) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[: int(kept if kept >= 1 else kept * len(whole))])
    with pytest.raises(InputError, match=r"coincidences\.npz"):
        read_raw(file)


def test_a_damaged_byte_is_refused(file: Path) -> None:
    whole = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as archive:
        place = archive.getinfo("bed1_second.npy").header_offset + 200
    whole[place] ^= 0x55
    file.write_bytes(bytes(whole))
    with pytest.raises(InputError, match="bed1_second"):
        read_raw(file)


def test_the_door_takes_the_folder_and_refuses_what_is_none(file: Path, tmp_path: Path) -> None:
    assert read_pet_raw(tmp_path)[0].prompts > 0
    (tmp_path / "list.dat").write_bytes(b"vendor's own")
    for path, said in (("list.dat", "is no PET raw data"), ("nothing", "no such file"), ("empty", "holds no")):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(InputError, match=said):
            read_pet_raw(tmp_path / path)


# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def petsird_file(raw: PetRawData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("petsird")
    path = tmp_path_factory.mktemp("petsird") / "scan.petsird"
    write_petsird(path, raw)
    return path


def test_petsird_there_and_back(raw: PetRawData, petsird_file: Path) -> None:
    back, notes = read_pet_raw(petsird_file)
    assert notes == ()
    for a, b in zip(raw.beds, back.beds, strict=True):
        for name in LISTS:
            np.testing.assert_array_equal(getattr(a.frame.prompts, name), getattr(b.frame.prompts, name))
        # whole counts: half of one in 30 s
        np.testing.assert_allclose(b.frame.singles_cps, a.frame.singles_cps, atol=0.5 / 30 + 1e-9)
        assert (a.start_s, a.duration_s) == (b.start_s, b.duration_s)
        assert b.bed_mm == pytest.approx(a.bed_mm, abs=1e-3)
        assert b.live_fraction == pytest.approx(a.live_fraction, abs=1e-6)
        assert b.frame.kinds is None
    for name in ("scanner", "nuclide", "start", "frame_of_reference", "patient_id"):
        assert getattr(back, name) == getattr(raw, name)
    assert back.axis_mm == pytest.approx(raw.axis_mm, abs=1e-5)


def test_petsird_holds_the_lines_where_they_are(raw: PetRawData, petsird_file: Path) -> None:
    """The ends of an event by PETSIRD's own geometry helpers are where our crystals are, and its time as it says."""
    petsird = load_petsird()
    from petsird.helpers.geometry import get_detecting_box  # the reference implementation

    with petsird.BinaryPETSIRDReader(str(petsird_file)) as reader:
        information = reader.read_header().scanner
        blocks = [b.value for b in reader.read_time_blocks()]
    event = next(b for b in blocks if type(b).__name__ == "EventTimeBlock").prompt_events[0][0][0]
    middles = []
    for detected in event.detection_bins:
        expanded = petsird.helpers.expand_detection_bin(information, 0, detected)
        corners = get_detecting_box(information, 0, expanded).corners
        middles.append(np.mean([c.c for c in corners], axis=0))
    prompts = raw.beds[0].frame.prompts
    ours = raw.scanner.positions_mm(raw.scanner.crystal_mm[2] / 2)
    ends = [ours[prompts.first[0]], ours[prompts.second[0]]]
    swapped = np.linalg.norm(middles[0] - ends[0]) > 1
    np.testing.assert_allclose(middles[::-1] if swapped else middles, ends, atol=1e-2)
    # (t1 - t2) c / 2 is negative where the first detector was first, and so nearer to the pair's origin
    edges = information.tof_bin_edges[0][0].edges
    time = (edges[event.tof_idx] + edges[event.tof_idx + 1]) / 2
    towards_first = (int(prompts.tof_bin[0]) - 27) * raw.scanner.time_of_flight.bin_mm  # type: ignore[union-attr]
    assert time == pytest.approx(towards_first if swapped else -towards_first, abs=1e-3)


def test_petsird_of_another_scanner_is_refused(petsird_file: Path) -> None:
    with pytest.raises(InputError, match="Vereos has"):
        read_petsird(petsird_file, scanner("vereos"))
    shifted = replace(scanner("discovery_690"), module_gap=1, module_crystals=9)
    with pytest.raises(InputError, match="are not those of"):
        read_petsird(petsird_file, replace(shifted, radius_mm=420.0))
    with pytest.raises(InputError, match="bins of time of flight"):
        read_petsird(petsird_file, scanner("discovery_690").untimed)


@pytest.mark.parametrize(("kept", "said"), [
    (6, "header cannot be read as PETSIRD: cut short"),
    (3000, "header cannot be read as PETSIRD: cut short"),
    (0.5, "then broken .the file ends where more bytes are due.: no event could be read"),
    (0.99, r"more bytes are due.: \d+ prompts of 1 beds, 30 s of events could be read before"),
])  # fmt: skip
def test_petsird_cut_short_is_refused(petsird_file: Path, tmp_path: Path, kept: float, said: str) -> None:
    whole = petsird_file.read_bytes()
    (tmp_path / "cut.petsird").write_bytes(whole[: int(kept if kept >= 1 else kept * len(whole))])
    with pytest.raises(InputError, match=said) as caught:
        read_pet_raw(tmp_path / "cut.petsird")
    assert "Error" not in str(caught.value)


def test_petsird_is_not_written_of_a_clock_without_a_zone(raw: PetRawData, tmp_path: Path) -> None:
    with pytest.raises(TimeError, match=r"states no time zone.*activity_at"):
        write_petsird(tmp_path / "local.petsird", replace(raw, start=raw.start.replace(tzinfo=None)))
    assert not (tmp_path / "local.petsird").exists()


def test_without_the_package_it_is_said(
    raw: PetRawData, petsird_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "petsird", None)
    with pytest.raises(InputError, match="pip install"):
        read_pet_raw(petsird_file)
    with pytest.raises(InputError, match="need the package petsird"):
        write_petsird(tmp_path / "out.petsird", raw)


def test_a_scanner_without_time_of_flight(tmp_path: Path) -> None:
    pytest.importorskip("petsird")
    plain = made(scanner("discovery_st"), beds=1, live=1.0)
    write_petsird(tmp_path / "st.petsird", plain)
    back, _ = read_petsird(tmp_path / "st.petsird")
    np.testing.assert_array_equal(back.beds[0].frame.prompts.first, plain.beds[0].frame.prompts.first)
    assert (back.scanner, back.beds[0].frame.prompts.bins) == (scanner("discovery_st"), 1)


def test_raw_data_that_make_no_sense_are_refused(raw: PetRawData) -> None:
    bed = raw.beds[0]
    for wrong in ({"live_fraction": 0.0}, {"start_s": -1.0}, {"gate": np.zeros(2, np.uint8)}):
        with pytest.raises(InputError):
            replace(bed, **wrong)
    with pytest.raises(InputError, match="at least one bed"):
        replace(raw, beds=())
    with pytest.raises(InputError, match="is not one of"):
        replace(raw, scanner=scanner("vereos"))


def test_an_own_scanner_keeps_its_keys(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('like = "vereos"\nname = "ours"\nblock = [8, 8]\ndead_time = 150.0\n')
    own = scanner_from_table(toml_file(tmp_path / "own.toml")[1], "own.toml")
    assert (own.name, own.block_crystals, own.dead_time_ns) == ("ours", (8, 8), 150.0)
    assert own.blocks == 18 * 4 * 5
    with pytest.raises(InputError, match="does not consist of blocks"):
        scanner_from_table({"like": "vereos", "block": [7, 8]}, "own.toml")


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"window": 1.0}, "cover 4.06 ns, the coincidence window is 1 ns"),
        ({"tof_bin_ps": 31.2}, "cover 0.406 ns"),
        ({"window": 4100.0}, "a coincidence window of 4100 ns is none"),
        ({"size": [4.5, 4.0, 20.0]}, "overlap at a pitch of 4 mm around the ring"),
        ({"pitch": [40.0, 4.054]}, "do not fit into a ring"),
        ({"ring_difference": 52}, "is not one of 52 rings"),
    ],
)
def test_a_scanner_that_cannot_be_built_is_refused(keys: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        scanner_from_table({"like": "biograph_mct", **keys}, "own.toml")


def test_a_scanner_stated_beside_a_file_that_holds_another_is_refused(file: Path, raw: PetRawData) -> None:
    assert read_pet_raw(file, scanner=raw.scanner)[0].scanner == raw.scanner
    with pytest.raises(InputError, match="holds its own scanner"):
        read_pet_raw(file, scanner=scanner("vereos"))


def test_keys_that_are_missing_are_named(file: Path) -> None:
    def drop(header: dict[str, Any]) -> None:
        del header["start"], header["beds"][1]["sha256"]

    with pytest.raises(InputError, match=r"start \(missing\), beds\[1\].sha256 \(missing\)"):
        read_raw(changed(file, drop))


def test_coincidences_know_their_ranges() -> None:
    d690 = scanner("discovery_690")
    one = np.zeros(1, np.int32)
    with pytest.raises(InputError, match="does not exist"):
        Coincidences(d690, one, one + 20_000, one.astype(np.int16), 1.0)
