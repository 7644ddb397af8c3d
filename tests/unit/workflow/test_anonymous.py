"""With identity taken out of a result, nothing that it shows or writes says whose it is, and no number has changed."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pydicom
import pytest

import hepatica
from hepatica.core.options import options_of
from hepatica.front_door import VERBS
from hepatica.io.dicom.rtdose import read_rtdose, write_rtdose
from hepatica.io.files.manifest import MANIFEST
from hepatica.io.registration.itk_transform import write_itk_transform
from hepatica.io.secret_key import read_secret
from identifying import (
    BORN,
    FOLDER,
    MARKS,
    NAME,
    PATIENT_ID,
    STEM,
    STRUCTURE_WORD,
    UID_MARK,
    forms_of,
    found_in,
    mark_file,
)
from marked_patient import DAY, Case, instant, name_in_a_structure, numbers, write_tables


@pytest.fixture(scope="module")
def virtual(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A virtual patient, and where it was saved as it is."""
    made = hepatica.virtual_patient(seed=7, tumours=1, ct=hepatica.VirtualCtOptions(spacing_mm=12.0))
    return made, made.save(tmp_path_factory.mktemp("plain") / "patient")


@pytest.fixture(scope="module")
def case(virtual: tuple[Any, Path], tmp_path_factory: pytest.TempPathFactory) -> Case:
    _, plain = virtual
    root = tmp_path_factory.mktemp("hospital") / FOLDER
    for kind in ("ct", "emission"):
        for n, path in enumerate(sorted((plain / kind).iterdir())):
            mark_file(path, root / kind / f"{STEM}_{n:03d}.dcm")
    for name in ("rtstruct", "seg"):
        mark_file(plain / f"{name}.dcm", root / f"{STEM}_{name}.dcm")
    name_in_a_structure(root / f"{STEM}_rtstruct.dcm")
    ct = hepatica.read_image(root / "ct", role="ct")
    assert ct.context is not None
    dose = ct.volume.with_values(
        np.linspace(0, 60, ct.volume.values.size).reshape(ct.volume.values.shape), hepatica.Kind.DOSE, time=None
    )
    write_rtdose(root / f"{STEM}_dose.dcm", dose, ct.context)
    write_tables(root)
    case = Case(
        root, root / "ct", root / "emission", root / f"{STEM}_rtstruct.dcm", root / f"{STEM}_seg.dcm",
        root / f"{STEM}_dose.dcm",
    )  # fmt: skip
    for verb, name, target in (
        ("simulate_spect", "projections.dcm", case.projections),
        ("reconstruct_spect", "spect.dcm", case.spect),
    ):
        mark_file(CALLS[verb](case).save(plain.parent / verb) / name, target)
    counted = CALLS["simulate_pet"](case).save(plain.parent / "simulate_pet") / "coincidences.npz"
    shutil.copy(counted, case.coincidences)
    saved = CALLS["simulate_mri"](case).save(plain.parent / "simulate_mri")
    for path in sorted(saved.rglob("*.dcm")):
        mark_file(path, case.mr / path.relative_to(saved).parent / f"{STEM}_{path.name}")
    return case


def release(case: Case) -> Any:
    sheet = hepatica.SheetOptions(patient=NAME, hospital="Qmark00x, Privmark")
    options = {"administered_at": instant(10), "sheet": sheet}
    return hepatica.release("I-131", 2.2, agent="lipiodol", **options)


def delivered(case: Case) -> Any:
    vial = {"vial_gbq": (3.0,), "calibrated_at": (instant(10),), "administered_at": (instant(10),)}
    before = {"reading_before_usv_per_h": (1200.0,), "reading_before_at": (instant(9),)}
    after = {"reading_after_usv_per_h": (20.0,), "reading_after_at": (instant(11),)}
    return hepatica.delivered_activity("Y-90", hepatica.VialReadingOptions(**vial, **before, **after))


def simulated(case: Case) -> Any:
    scan = hepatica.ScanOptions(views=8, pixel_mm=14.0, columns=32)
    stated = hepatica.ScannedActivityOptions(total_bq=150e6)
    return hepatica.simulate_spect(
        case.emission, ct=case.ct, nuclide="Tc-99m", camera="siemens-lehr",
        options=hepatica.SimulationOptions(scan=scan, stated=stated),
    )  # fmt: skip


def simulated_pet(case: Case) -> Any:
    scan = hepatica.PetScanOptions(bed_duration_s=1.0, matter_mm=14.0)
    return hepatica.simulate_pet(
        case.emission, ct=case.ct, nuclide="Y-90", scanner="discovery_690",
        options=hepatica.PetSimulationOptions(scan=scan),
    )  # fmt: skip


def reconstructed_pet(case: Case) -> Any:
    options = hepatica.PetOptions(
        iteration=hepatica.PetIterationOptions(iterations=1, subsets=2),
        corrections=hepatica.PetCorrectionOptions(skip_scatter=True),
        image=hepatica.PetImageOptions(voxel_mm=(14, 14, 14), matter_mm=14.0),
    )
    return hepatica.reconstruct_pet(case.coincidences, ct=case.ct, options=options)


def simulated_mri(case: Case) -> Any:
    return hepatica.simulate_mri(
        case.emission, ct=case.ct, structures=case.rtstruct,
        options=hepatica.MrSimulationOptions(echoes=3, mr_spacing_mm=(14, 14, 20)),
        stated=hepatica.ScannedActivityOptions(total_bq=6e9),
    )  # fmt: skip


def holmium(case: Case) -> Any:
    given = hepatica.HolmiumOptions(specific_activity_mbq_mg=10.0, calibrated_at=instant(10), administered_mg=600)
    return hepatica.holmium_mri(
        case.mr / "after", before=case.mr / "before", structures=case.rtstruct, holmium=given,
        reading=hepatica.MrReadingOptions(noise_level=0.02),
    )  # fmt: skip


def agreement_of(case: Case) -> Any:
    by_mr = holmium(case).activity
    values = np.maximum(by_mr.volume.values, 0)
    spect = hepatica.Image.from_array(values, unit="Bq/mL", grid=by_mr.grid, time=by_mr.time, nuclide="Ho-166")
    return hepatica.spect_mri_agreement(by_mr, spect=spect, structures=case.rtstruct)


def reconstructed(case: Case) -> Any:
    osem = hepatica.SpectOptions(iteration=hepatica.IterationOptions(iterations=1, subsets=2))
    return hepatica.reconstruct_spect(case.projections, ct=case.ct, camera="siemens-lehr", options=osem)


def planar_of(case: Case) -> Any:
    """Views of the emission, by the patient's own CT."""
    scan = hepatica.PlanarScanOptions(pixel_mm=16.0, columns=30)
    asked = hepatica.PlanarSimulationOptions(scan=scan, stated=hepatica.ScannedActivityOptions(total_bq=1e9))
    return hepatica.simulate_planar(case.emission, ct=case.ct, nuclide="I-131", options=asked)


def distributed(case: Case) -> Any:
    """Of views as a file with the patient's name, and structures with his tumour's."""
    folder = case.root / f"{STEM} planar {len(list(case.root.glob(f'{STEM} planar*')))}"
    made = planar_of(case).save(folder) / "planar.dcm"
    options = hepatica.BiodistributionOptions(counts=hepatica.PlanarCountsOptions(planar_scatter="none"))
    return hepatica.biodistribution(made, structures=case.rtstruct, ct=case.ct, options=options)


def registered(case: Case) -> Path:
    """A registration of the patient's frame of reference, with identity like any other file."""
    path = case.root / f"{STEM} registration.tfm"
    frame = hepatica.read_image(case.ct, role="ct").grid.frame_of_reference
    made = hepatica.Transform.translation((2, 0, 4), fixed_frame=frame, moving_frame=frame, method=f"of {NAME}")
    return write_itk_transform(path, made)


def dose(case: Case) -> Any:
    wanted = hepatica.StructureOptions(wanted_structures=("liver", f"tumour 1 {STRUCTURE_WORD}"))
    return hepatica.absorbed_dose(
        case.emission, ct=case.ct, structures=case.rtstruct, nuclide="Y-90", engine="local",
        options=hepatica.DoseOptions(clinical=wanted),
    )  # fmt: skip


def prescribed(case: Case) -> Any:
    """With a lung shunt from a file and another beside it: both stand in a message, with the file."""
    earlier = case.root / "lsf.json"
    earlier.write_text(json.dumps(hepatica.lung_shunt(case.emission, structures=case.rtstruct).as_dict()))
    return hepatica.prescribe(
        "mird", substance=hepatica.SubstanceOptions(agent="glass"), perfused=hepatica.PerfusedOptions(mass_kg=1.5),
        masses=hepatica.MassOptions(lung_shunt=0.9), aim=hepatica.AimOptions(dose_gy=120.0),
        earlier=hepatica.EarlierOptions(lung_shunt_result=earlier),
    )  # fmt: skip


def tolerance(case: Case) -> Any:
    per_gbq = {"normal_dose_gy_per_gbq": 15.0, "tumour_dose_gy_per_gbq": 60.0, "lung_dose_gy_per_gbq": 2.0}
    coming = hepatica.NextTreatment(next_at=instant(10, DAY + timedelta(days=90)).replace(tzinfo=None), **per_gbq)
    return hepatica.remaining_tolerance(case.table("course"), coming=coming, tolerance_bed_gy=93.0, territory="right")


def course(case: Case) -> Path:
    """A case of its own with the patient's images, name and readings, and a plan that was run."""
    folder = case.root / f"{STEM} course {len(list(case.root.glob(f'{STEM} course*')))}"
    made = hepatica.Case.new(folder)
    at = instant(10).isoformat()
    facts = {"patient.name": NAME, "patient.id": PATIENT_ID, "treatment.agent": "glass", "treatment.at": at}
    plan = {"aims.perfused": "120 Gy", "lungs.lung_shunt": "5 %", "territory.name": "right lobe"}
    made.set(**facts, **{f"treatment.{key}": value for key, value in plan.items()})
    made.set(**{"treatment.territory.normal_mass": "0.9 kg"})
    made.add(case.table("labs"), "labs")
    made.run("plan")
    return folder


def packed(case: Case) -> Path:
    folder = course(case)
    (folder.parent / "phrase.txt").write_text("correct horse battery")
    archive = folder.with_suffix(".age")
    hepatica.pack_case(archive, case=folder, passphrase_file=folder.parent / "phrase.txt")
    return archive


def unpacked(case: Case) -> Any:
    archive = packed(case)
    return hepatica.unpack_case(archive, archive.with_suffix(".back"), passphrase_file=archive.parent / "phrase.txt")


def injected(case: Case) -> Any:
    """A watched injection whose frames name the patient."""
    frames = case.root / f"{STEM}_frames.dcm"
    made = CALLS["simulate_injection"](case).save(case.root.parent / "injected")
    mark_file(made / "frames.dcm", frames)
    return hepatica.monitor(
        frames, setup=made / "setup.json", readings=made / "readings.csv",
        watching=hepatica.WatchOptions(rehearsals=200, false_alarms=0.05, look_s=2.0),
    )  # fmt: skip


def to_be_injected(case: Case) -> Any:
    """The setup of an injection, from frames, CT and structures that name the patient."""
    frames = case.root / f"{STEM}_view.dcm"
    mark_file(CALLS["simulate_injection"](case).save(case.root.parent / "viewed") / "frames.dcm", frames)
    return hepatica.prepare_injection(
        frames, ct=case.root / "ct", structures=case.rtstruct, agent="maa",
        seen_by=hepatica.InjectionCameraOptions(camera="siemens-lehr", head="anterior", offset_mm=(0.0, 0.0)),
        planned=hepatica.PlannedInjectionOptions(planned_bq=150e6),
    )  # fmt: skip


CALLS: dict[str, Callable[[Case], Any]] = {
    "monitor": injected,
    "prepare_injection": to_be_injected,
    "simulate_injection": lambda _: hepatica.simulate_injection(options=hepatica.InjectionOptions(frame_s=2.0)),
    "inspect_images": lambda c: hepatica.inspect_images(c.root),
    "simulate_spect": simulated,
    "reconstruct_spect": reconstructed,
    "calibrate_camera": lambda c: hepatica.calibrate_camera(
        c.spect,
        source=hepatica.SourceOptions(source="patient", source_activity_bq=150e6, source_activity_at=instant(10)),
        exposure=hepatica.CameraExposureOptions(head_time_s=480.0),
    ),
    "simulate_planar": planar_of,
    "biodistribution": distributed,
    "simulate_pet": simulated_pet,
    "reconstruct_pet": reconstructed_pet,
    "simulate_mri": simulated_mri,
    "holmium_mri": holmium,
    "spect_mri_agreement": agreement_of,
    "quantify": lambda c: hepatica.quantify(c.emission, nuclide="Y-90", structures=c.rtstruct),
    "segment": lambda c: hepatica.segment(c.ct, uptake=c.emission),
    "warp_image": lambda c: hepatica.warp_image(
        c.emission, to=c.ct, registration=hepatica.TransformOptions(transform=registered(c))
    ),
    "register": lambda c: hepatica.register(
        c.ct,
        c.ct,
        known=hepatica.KnownPlaces(structures=c.rtstruct, moving_structures=c.rtstruct),
        options=hepatica.RegistrationOptions(checks=False),
    ),
    "absorbed_dose": dose,
    "compare_doses": lambda c: hepatica.compare_doses(c.dose, c.dose, structures=c.rtstruct),
    "accumulated_dose": lambda c: hepatica.accumulated_dose(
        c.dose, c.dose, structures=c.rtstruct, registration=hepatica.TransformOptions(transform=registered(c))
    ),
    "radiobiology": lambda c: hepatica.radiobiology(dose_map=c.dose, structures=c.rtstruct),
    "lung_shunt": lambda c: hepatica.lung_shunt(c.emission, structures=c.rtstruct),
    "tumour_to_normal": lambda c: hepatica.tumour_to_normal(c.emission, structures=c.rtstruct),
    "plan": lambda c: hepatica.plan(c.root / f"{STEM} plan.toml"),
    "prescribe": prescribed,
    "order_vial": lambda c: hepatica.order_vial("glass", 2.4, administered_at=instant(10)),
    "elute_generator": lambda c: hepatica.elute_generator(20.0, calibrated_at=instant(8), eluted_at=(instant(9),)),
    "delivered_activity": delivered,
    "scout_concordance": lambda c: hepatica.scout_concordance(c.dose, c.dose, structures=c.rtstruct),
    "remaining_tolerance": tolerance,
    "tumour_response": lambda c: hepatica.tumour_response(c.table("measurements"), criterion="mrecist"),
    "segmented_response": lambda c: hepatica.segmented_response(
        c.seg, c.seg, interval_days=90, registration=hepatica.TransformOptions(transform=registered(c))
    ),
    "lipiodol_retention": lambda c: hepatica.lipiodol_retention(c.table("lipiodol")),
    "remnant_growth": lambda c: hepatica.remnant_growth(c.table("remnant")),
    "liver_function": lambda c: hepatica.liver_function(c.table("labs")),
    "survival": lambda c: hepatica.survival(c.table("patients"), time="os_months", event="dead", by="dose_gy>=205"),
    "dose_response": lambda c: hepatica.dose_response(
        c.table("lesions"),
        doses="tumour_gy",
        responders="cr",
        patient_ids="patient",
        fit=hepatica.CurveOptions(samples=20),
    ),
    "measurement_agreement": lambda c: hepatica.measurement_agreement(
        c.table("pairs"), first="scout_gy", second="therapy_gy"
    ),
    "diagnostic_accuracy": lambda c: hepatica.diagnostic_accuracy(
        c.table("readings"), test="spect", truth="deposition"
    ),
    "release": release,
    "new_case": lambda c: hepatica.new_case(c.root / f"{STEM} new {uuid4()}"),
    "add_to_case": lambda c: hepatica.add_to_case(c.ct, case=course(c)),
    "take_image": lambda c: hepatica.take_image("labs-1", "unused", case=course(c)),
    "case_status": lambda c: hepatica.case_status(course(c)),
    "set_in_case": lambda c: hepatica.set_in_case({"patient.name": NAME}, case=course(c)),
    "run_case": lambda c: hepatica.run_case(["order"], case=course(c)),
    "check_step": lambda c: hepatica.check_step("plan", by=NAME, case=course(c)),
    "skip_step": lambda c: hepatica.skip_step("order", reason=f"{NAME} bought it", case=course(c)),
    "case_log": lambda c: hepatica.case_log(course(c)),
    "pack_case": lambda c: hepatica.pack_case(
        packed(c).with_suffix(".again"), case=course(c), passphrase_file=c.root / "phrase.txt"
    ),
    "unpack_case": unpacked,
    "case_report": lambda c: hepatica.case_report(course(c)),
    "workbench": lambda c: hepatica.workbench(course(c), no_browser=True, idle_s=0.3),
    "anonymise_case": lambda c: hepatica.anonymise_case(course(c), c.root / f"copy {uuid4()}"),
    "erase_case": lambda c: hepatica.erase_case(course(c), reason="request"),
}
"""Every verb to which something about a patient is given, with the marked patient."""

INVENTED = {"virtual_patient", "virtual_cohort", "demo"}
"""Verbs whose patients hepatica makes itself."""

NOBODY = {
    "compare_spheres", "voxel_kernel", "plan_template", "compare_agents", "list_nuclides", "list_agents",
    "list_guardrails",
}  # fmt: skip
"""Verbs that are given neither files nor instants nor names."""

WHEN = {day for n in (-1, 0, 60, 90, 120) for day in forms_of(DAY + timedelta(days=n))}
ALL_MARKS = MARKS | WHEN | forms_of(date.today())  # noqa: DTZ011


def test_every_verb_is_in_the_table() -> None:
    """A new verb must be searched for marks too."""
    assert set(CALLS) | INVENTED | NOBODY == {verb.function for verb in VERBS}


def test_verbs_that_know_nobody_take_no_file_and_no_instant() -> None:
    for verb in VERBS:
        if verb.function in NOBODY:
            bases = {option.form.base for option in options_of(verb.load())}
            assert not bases & {Path, datetime, date}, verb.function


@pytest.mark.parametrize("verb", CALLS)
def test_no_mark_is_left(verb: str, case: Case, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if verb == "absorbed_dose":
        made = request.getfixturevalue("doses")
        result, anonymous, saved = made.result, made.anonymous, made.saved
    else:
        result = CALLS[verb](case)
        anonymous = result.anonymous()
        saved = anonymous.save(tmp_path / "saved")
    assert found_in(saved, ALL_MARKS | {str(case.root), case.root.parent.name}) == {}
    (tmp_path / "shown").mkdir()
    shown = (str(anonymous), anonymous._repr_html_(), json.dumps(anonymous.as_dict()), repr(anonymous.messages))
    (tmp_path / "shown" / "screen.txt").write_text("\n".join(shown))
    assert found_in(tmp_path / "shown", ALL_MARKS | {str(case.root)}) == {}
    assert numbers(anonymous.as_dict()) == numbers(result.as_dict())
    # The list of files and the folder too: one true time beside `created` would give the shift away.
    times = [path.stat().st_mtime for path in (saved, saved / MANIFEST, *saved.rglob("*"))]
    assert max(times) < time.time() - 300 * 86400
    assert max(times) - min(times) < 60
    assert anonymous.anonymous() is anonymous


@dataclass(frozen=True)
class Doses:
    """A dose, and where it was saved with identity and without."""

    result: Any
    anonymous: Any
    plain: Path
    saved: Path


@pytest.fixture(scope="module")
def doses(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Doses:
    folder = tmp_path_factory.mktemp("dose")
    result = CALLS["absorbed_dose"](case)
    anonymous = result.anonymous()
    return Doses(result, anonymous, result.save(folder / "plain"), anonymous.save(folder / "anonymous"))


def test_the_search_finds_what_is_there(case: Case, doses: Doses) -> None:
    """Without `anonymous` the same files hold names, numbers, UIDs, dates and paths."""
    found = found_in(doses.plain, ALL_MARKS | {str(case.root)})
    days = {DAY.isoformat(), DAY.strftime("%Y%m%d")}
    assert {"Zwetschgenkuchen", "Ottokar", PATIENT_ID, BORN, UID_MARK, str(case.root), *days} <= set(found)
    assert {"dose.dcm", "structures.dcm", "structures-seg.dcm", "report.html"} <= found[PATIENT_ID]
    if shutil.which("pdftotext"):
        assert "report.pdf" in found[PATIENT_ID]


def test_objects_state_the_profile_and_fit_each_other(doses: Doses, case: Case) -> None:
    saved = doses.saved
    secret = read_secret()
    dose, structures, seg = (
        pydicom.dcmread(saved / name) for name in ("dose.dcm", "structures.dcm", "structures-seg.dcm")
    )
    source = pydicom.dcmread(sorted(case.ct.iterdir())[0])
    for written in (dose, structures, seg):
        assert written.PatientIdentityRemoved == "YES"
        assert written.LongitudinalTemporalInformationModified == "MODIFIED"
        codes = [item.CodeValue for item in written.DeidentificationMethodCodeSequence]
        assert codes == ["113100", "113105", "113107", "113108"]
        assert written.PatientID == secret.pseudonym(PATIENT_ID)
        assert written.PatientName == f"{written.PatientID}^"
        assert written.PatientSex == "M"
        for keyword in ("PatientBirthDate", "AccessionNumber", "ReferringPhysicianName"):
            assert not written[keyword].value
        assert written.StudyInstanceUID == secret.uid(source.StudyInstanceUID)
        assert not any(element.tag.is_private for element in written.iterall())
        day = date.fromisoformat(written.StudyDate)
        assert day - DAY == secret.shift(PATIENT_ID)
        assert day.weekday() == DAY.weekday()
    frame = secret.uid(source.FrameOfReferenceUID)
    assert dose.FrameOfReferenceUID == seg.FrameOfReferenceUID == frame
    overview = dose.PlanOverviewSequence[0].ReferencedStructureSetSequence[0]
    assert overview.ReferencedSOPInstanceUID == structures.SOPInstanceUID
    referred = {item.ReferencedSOPInstanceUID for item in dose.ReferencedImageSequence}
    assert referred == {secret.uid(pydicom.dcmread(path).SOPInstanceUID) for path in case.ct.iterdir()}
    names = [item.ROIName for item in structures.StructureSetROISequence]
    assert len(set(names)) == len(names)
    assert any("tumour" in name.lower() and secret.short(STRUCTURE_WORD, 4) in name for name in names)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dciodvfy (dicom3tools)")
def test_a_validator_has_no_more_to_say(doses: Doses) -> None:
    for name in ("dose.dcm", "structures.dcm", "structures-seg.dcm"):
        assert complaints_of(doses.saved / name) <= complaints_of(doses.plain / name)


def complaints_of(path: Path) -> set[str]:
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, timeout=60, check=False)
    return {line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("Error", "Warning"))}


def test_the_same_grays_are_read_again(doses: Doses) -> None:
    plain, saved = doses.plain, doses.saved
    assert np.array_equal(read_rtdose(saved / "dose.dcm").volume.values, read_rtdose(plain / "dose.dcm").volume.values)
    names = ("structures.dcm", "structures-seg.dcm", "dose.dcm")
    for name in names:
        a, b = pydicom.dcmread(saved / name), pydicom.dcmread(plain / name)
        if "PixelData" in a:
            assert a.PixelData == b.PixelData
        else:
            contours = [[c.ContourData for c in roi.ContourSequence] for d in (a, b) for roi in d.ROIContourSequence]
            assert contours[: len(contours) // 2] == contours[len(contours) // 2 :]


def test_the_same_becquerels_are_read_again(case: Case, tmp_path: Path) -> None:
    """A SPECT written without identity is decay-corrected from its shifted dates as it was from the true ones."""
    result = CALLS["reconstruct_spect"](case)
    plain, anonymous = result.save(tmp_path / "plain"), result.save(tmp_path / "anonymous", anonymous=True)
    a, b = (hepatica.read_image(folder / "spect.dcm") for folder in (plain, anonymous))
    assert np.array_equal(a.volume.values, b.volume.values)
    assert a.time is not None
    assert b.time is not None
    assert b.time - a.time == read_secret().shift(PATIENT_ID)
    assert b.context is not None
    # What was de-identified by this key is not taken apart a second time.
    again = hepatica.inspect_images(anonymous / "spect.dcm").anonymous()
    assert again.series[0].time == b.time
    assert again.series[0].patient_id == b.context.patient_id
    assert again.series[0].series == b.context.series_uid


def test_an_invented_patient_is_treated_like_any_other(virtual: tuple[Any, Path], tmp_path: Path) -> None:
    made, plain = virtual
    saved = made.save(tmp_path / "anonymous", anonymous=True)
    context = made.context
    marks = {context.patient_id, context.patient_name, context.study_uid, context.frame_of_reference}
    marks |= forms_of(made.scanned_at.date())
    assert {context.patient_id, context.study_uid, made.scanned_at.date().isoformat()} <= set(found_in(plain, marks))
    assert found_in(saved, marks) == {}
    a, b = (hepatica.read_image(folder / "emission", role="activity") for folder in (plain, saved))
    assert np.array_equal(a.volume.values, b.volume.values)
    assert a.time is not None
    assert b.time is not None
    assert b.time - a.time == read_secret().shift(context.patient_id)
    assert a.acquisition.administered_bq == b.acquisition.administered_bq
    ct = hepatica.read_image(saved / "ct", role="ct")
    hepatica.read_structures(saved / "rtstruct.dcm", ct)


def test_two_verbs_agree_on_whom_and_when(case: Case) -> None:
    """UIDs, pseudonym and shift of one patient are the same in images and in tables."""
    seen = hepatica.inspect_images(case.ct).anonymous().series[0]
    assert seen.grid is not None
    activity = hepatica.quantify(case.emission, nuclide="Y-90").anonymous()
    assert activity.image.context is not None
    assert seen.grid.frame_of_reference == activity.image.context.frame_of_reference
    response = hepatica.tumour_response(case.table("measurements"), criterion="mrecist")
    visits, true = response.anonymous().visits, response.visits
    assert {visit.patient for visit in visits} == {seen.patient_id} == {activity.image.context.patient_id}
    shift = read_secret().shift(PATIENT_ID)
    assert [visit.date for visit in visits] == [visit.date + shift for visit in true]


def test_a_patient_can_be_named_where_no_file_does(case: Case) -> None:
    named = delivered(case).anonymous(patient=PATIENT_ID)
    assert named.as_dict() != delivered(case).anonymous().as_dict()
    assert named.provenance.deidentified.shift == read_secret().shift(PATIENT_ID)


def test_what_was_done_before_does_not_mix_with_what_was_not(case: Case, tmp_path: Path) -> None:
    saved = CALLS["reconstruct_spect"](case).save(tmp_path / "anonymous", anonymous=True)
    spect, ct = hepatica.read_image(saved / "spect.dcm"), hepatica.read_image(case.ct, role="ct")
    result = hepatica.inspect_images(case.ct)
    mixed = hepatica.Provenance(inputs=(spect.source, ct.source))
    with pytest.raises(hepatica.InputError, match="some inputs before"):
        replace(result, provenance=mixed).anonymous()


@pytest.fixture(scope="module")
def anonymous_projections(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    saved: Path = CALLS["simulate_spect"](case).save(tmp_path_factory.mktemp("scan") / "done", anonymous=True)
    return saved / "projections.dcm"


def spect_of(projections: Path) -> Any:
    osem = hepatica.SpectOptions(iteration=hepatica.IterationOptions(iterations=1, subsets=2))
    water = hepatica.WithoutCtOptions(uniform_density_g_ml=1.0, outline_fraction=0.05)
    return hepatica.reconstruct_spect(projections, camera="siemens-lehr", options=replace(osem, without_ct=water))


def test_what_is_made_of_anonymous_inputs_is_dated_like_them(anonymous_projections: Path, tmp_path: Path) -> None:
    """A result of today made of them would otherwise give the shift away."""
    again = spect_of(anonymous_projections)
    saved = again.save(tmp_path / "again", anonymous=True)
    shift = read_secret().shift(PATIENT_ID)
    created = json.loads((saved / "result.json").read_text())["provenance"]["created"]
    assert abs(datetime.fromisoformat(created) - shift - datetime.now(UTC)) < timedelta(minutes=5)
    written = saved / "spect.dcm"
    first, second = pydicom.dcmread(anonymous_projections), pydicom.dcmread(written)
    assert first.PatientID == second.PatientID == read_secret().pseudonym(PATIENT_ID)
    today = date.today() + shift  # noqa: DTZ011
    assert abs(date.fromisoformat(second.InstanceCreationDate) - today) <= timedelta(days=1)
    assert second.StudyDate == first.StudyDate


def test_another_key_takes_identity_out_again(anonymous_projections: Path, tmp_path: Path) -> None:
    """Its name stands only on what it made itself."""
    path = tmp_path / "other.key"
    path.write_text("fedcba9876543210" * 4)
    path.chmod(0o600)
    other = read_secret(path)
    old = pydicom.dcmread(anonymous_projections)
    saved = spect_of(anonymous_projections).anonymous(key=path).save(tmp_path / "again")
    new = pydicom.dcmread(saved / "spect.dcm")
    assert new.PatientID == other.pseudonym(old.PatientID)
    assert new.StudyInstanceUID == other.uid(old.StudyInstanceUID)
    assert date.fromisoformat(new.StudyDate) - date.fromisoformat(old.StudyDate) == other.shift(old.PatientID)
    assert other.name in new.DeidentificationMethod
    assert read_secret().name not in new.DeidentificationMethod
    assert found_in(saved, {old.PatientID, old.StudyInstanceUID, read_secret().name}) == {}


def test_a_number_that_looks_like_a_pseudonym_is_replaced(case: Case, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(sorted(case.ct.iterdir())[0])
    dataset.PatientID, dataset.PatientName = "ANON-SMITH42", "ANON-SMITH42^Jane"
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = f"hepatica 1.0, key {read_secret().name}"
    dataset.save_as(tmp_path / "x.dcm")
    saved = hepatica.inspect_images(tmp_path / "x.dcm").anonymous().save(tmp_path / "saved")
    assert found_in(saved, {"SMITH42", "Jane", dataset.StudyInstanceUID, DAY.isoformat()}) == {}
