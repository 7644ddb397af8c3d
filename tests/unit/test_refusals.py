"""What contradicts itself, has no effect or is of the wrong kind is refused in one sentence, from the front door."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hepatica
from hepatica.errors import HepaticaError, InputError
from hepatica.io.itk import write_itk

CUBE = np.ones((6, 6, 6))
AT = datetime(2026, 3, 2, 12)
CT = hepatica.Image.from_array(np.zeros((6, 6, 6)), unit="HU", spacing_mm=(4, 4, 4))
PET = hepatica.Image.from_array(CUBE, unit="kBq/mL", spacing_mm=(4, 4, 4), time=AT, start=AT)
INTEGRATED = hepatica.Image.from_array(CUBE, unit="MBq h", spacing_mm=(4, 4, 4))
LIVER = hepatica.Region.from_coverage("liver", PET.grid, np.pad(np.ones((4, 4, 4)), 1))
ANY: Any = hepatica


def dose(image: hepatica.Image = PET, *, engine: Any = "local", **options: Any) -> hepatica.DoseResult:
    asked = hepatica.DoseOptions(**options)
    return hepatica.absorbed_dose(image, ct=CT, nuclide="Y-90", structures=LIVER, engine=engine, options=asked)


def quantified(**options: Any) -> hepatica.QuantifyResult:
    return hepatica.quantify(PET, nuclide="Y-90", quantification=hepatica.QuantificationOptions(**options))


NO_EFFECT: dict[str, tuple[Callable[[], object], str]] = {
    "factor of Bq/mL": (lambda: quantified(calibration=hepatica.Estimate(4.6)), "`calibration` has no effect"),
    "factor of a dose of Bq/mL": (
        lambda: dose(quantification=hepatica.QuantificationOptions(calibration="4.6 cps/MBq")),
        "`calibration` has no effect",
    ),
    "factor of time-integrated activity": (
        lambda: dose(INTEGRATED, quantification=hepatica.QuantificationOptions(calibration=hepatica.Estimate(4.6, 1))),
        "`calibration` has no effect",
    ),
    "duration of Bq/mL": (lambda: quantified(frame_duration_s=1200), "`frame_duration_s` has no effect"),
    "curve of one point": (lambda: dose(time=hepatica.TimeOptions(time_model="bi")), "`time_model` is of the curve"),
    "tail of one point": (lambda: dose(time=hepatica.TimeOptions(tail="physical")), "`tail` is of the curve"),
    "half-life of time-integrated activity": (
        lambda: dose(INTEGRATED, time=hepatica.TimeOptions(effective_half_life_s=1e5)),
        "`effective_half_life_s` has no effect",
    ),
    "density of the local engine": (
        lambda: dose(settings=hepatica.DoseSettings(density="none")),
        "`density` belongs to the engine kernel, not to local",
    ),
    "photons of the kernel engine": (
        lambda: dose(engine="kernel", settings=hepatica.DoseSettings(local_photon_fraction=0.5)),
        "`local_photon_fraction` belongs to the engine local, not to kernel",
    ),
    "extrapolated without curve": (
        lambda: hepatica.PartialVolumeOptions(recovery_extrapolate=True),
        "`recovery_extrapolate` is of a recovery curve",
    ),
    "uncertainty of no width": (lambda: hepatica.PartialVolumeOptions(response_sd_mm=1.0), "state `response_mm`"),
}


@pytest.mark.parametrize(("call", "message"), NO_EFFECT.values(), ids=NO_EFFECT.keys())
def test_what_has_no_effect_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


def test_the_uncertainty_of_a_calibration_holds_for_becquerels_too() -> None:
    assert quantified(calibration=hepatica.Estimate(4.6, 0.23)).activity_scale_relative_sd == pytest.approx(0.05)
    bq = hepatica.Image.from_array(CUBE, unit="Bq", spacing_mm=(4, 4, 4), time=AT)
    options = hepatica.QuantificationOptions(calibration=hepatica.Estimate(4.6, 0.23))
    found = hepatica.quantify(bq, nuclide="Y-90", quantification=options)
    assert found.activity_scale_relative_sd == pytest.approx(0.05)


OTHER_NUCLIDE: dict[str, Callable[[], object]] = {
    "release": lambda: hepatica.release("Y-90", 2.0, agent="ho166-plla"),
    "dose": lambda: dose(clinical=hepatica.StructureOptions(agent="QuiremSpheres")),
    "radiobiology": lambda: hepatica.ExposureOptions(nuclide="Y-90", agent="ho166-plla"),
    "adaptive": lambda: hepatica.NextTreatment(
        next_at=AT, normal_dose_gy_per_gbq=1, tumour_dose_gy_per_gbq=1, lung_dose_gy_per_gbq=1, agent="ho166-plla"
    ),
    "phantom": lambda: hepatica.Treatment(nuclide="Y-90", agent="ho166-plla"),
    "prescribe": lambda: hepatica.prescribe(
        "mird",
        substance=hepatica.SubstanceOptions(agent="ho166-plla", nuclide="Y-90"),
        perfused=hepatica.PerfusedOptions(mass_kg=1.0),
        aim=hepatica.AimOptions(dose_gy=100.0),
    ),
}


@pytest.mark.parametrize("call", OTHER_NUCLIDE.values(), ids=OTHER_NUCLIDE.keys())
def test_an_agent_of_another_nuclide_is_refused(call: Callable[[], object]) -> None:
    with pytest.raises(InputError, match=r"^ho166-plla carries Ho-166, not Y-90: there is no 90Y ho166-plla$"):
        call()


def test_free_words_for_an_agent_pass() -> None:
    assert hepatica.release("I-131", 2.0, agent="lipiodol").plan.agent == "lipiodol"
    assert hepatica.ExposureOptions(nuclide="Re-188", agent="lipiodol").agent == "lipiodol"


WRONG_KIND: dict[str, tuple[Callable[[], object], str]] = {
    "numbers as structures": (lambda: ANY.quantify(PET, nuclide="Y-90", structures=[3]), "hepatica.Region"),
    "structures of an array": (
        lambda: hepatica.quantify(PET, nuclide="Y-90", structures=np.zeros((6, 6, 6))),  # type: ignore[arg-type]
        "not ndarray",
    ),
    "inspect an array": (lambda: hepatica.inspect_images(CUBE), "an image is a path or a hepatica.Image"),  # type: ignore[arg-type]
    "two edges": (lambda: hepatica.Image.from_array(CUBE, unit="Bq", spacing_mm=(4, 4)), "three numbers"),  # type: ignore[arg-type]
    "negative edge": (lambda: hepatica.Image.from_array(CUBE, unit="Bq", spacing_mm=(4, -4, 4)), "must be positive"),
    "no unit": (lambda: ANY.Image.from_array(CUBE, unt="Bq/mL"), "did you mean `unit`"),
    "no spacing": (lambda: ANY.Grid.axial((2, 2)), "Grid.axial needs `spacing_mm`"),
    "two axes": (lambda: hepatica.Grid.axial((2, 2), spacing_mm=(4, 4, 4)), "three numbers"),
    "unknown field of a plan": (lambda: ANY.Course(agnt="x"), "did you mean `agent`"),
    "missing fields of a plan": (lambda: ANY.Course(agent="glass"), "needs `territories` and `aims`"),
    "text for a mass": (lambda: ANY.Lesion("a", "12 g", 3.0), "`mass_kg` is a number in kg"),
    "too many": (lambda: ANY.Lesion("a", 0.1, 3.0, 4.0), "Lesion: too many"),
    "text for an estimate": (lambda: ANY.Estimate("a"), "`value` is a number"),
    "no estimate": (lambda: ANY.Estimate(None), "`value` is a number"),
    "text for an uncertainty": (lambda: ANY.Estimate(1.0, "b"), "`sd` is a number"),
    "unknown role": (lambda: hepatica.StructureOptions(structure_roles={"a": "livr"}), "did you mean liver"),
    "role of a dose map": (lambda: hepatica.DoseMapOptions(structure_roles={"a": "livr"}), "did you mean liver"),
    "role of a scout": (lambda: hepatica.ScoutOptions(structure_roles={"a": "livr"}), "did you mean liver"),
    "roles as text": (lambda: ANY.ConcordanceOptions(structure_roles="a=liver"), "is a mapping of names to roles"),
    "grid for structures": (lambda: ANY.read_structures("no/such.dcm", 3), "a hepatica.Image, a Grid or a path"),
}


@pytest.mark.parametrize(("call", "message"), WRONG_KIND.values(), ids=WRONG_KIND.keys())
def test_the_wrong_kind_is_one_sentence(call: Callable[[], object], message: str) -> None:
    with pytest.raises(HepaticaError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


def test_one_region_stands_for_structures() -> None:
    one = hepatica.quantify(PET, nuclide="Y-90", structures=LIVER).structures
    assert one == hepatica.quantify(PET, nuclide="Y-90", structures=[LIVER]).structures
    assert [item.name for item in one] == ["liver"]


def test_a_nuclide_and_an_agent_are_as_good_as_their_names() -> None:
    y90, glass = hepatica.nuclide("Y-90"), hepatica.agent("glass")
    assert hepatica.nuclide(y90) is y90
    assert hepatica.agent(glass) is glass
    assert hepatica.quantify(PET, nuclide=y90).nuclide == "Y-90"
    assert hepatica.release(y90, 2.0).plan.nuclide == "Y-90"


def test_one_number_is_a_cube() -> None:
    one, three = hepatica.voxel_kernel("Y-90", 4.0), hepatica.voxel_kernel("Y-90", (4, 4, 4))
    assert one.spacing_mm == three.spacing_mm == (4, 4, 4)
    assert one.self_fraction == three.self_fraction


def test_structures_are_read_onto_the_image_of_a_path(tmp_path: Path) -> None:
    write_itk(CT.volume, tmp_path / "ct.nii.gz")
    drawn = hepatica.Volume(CT.grid, LIVER.full().astype(np.int32), hepatica.Kind.LABEL)
    write_itk(drawn, tmp_path / "liver.nii.gz")
    found = hepatica.read_structures(tmp_path / "liver.nii.gz", tmp_path / "ct.nii.gz")
    assert found.regions[0].volume_ml == pytest.approx(LIVER.volume_ml)
