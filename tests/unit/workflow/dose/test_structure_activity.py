"""Partial volume and uncertainty in the dose calculation, on a blurred phantom of known activity."""

import json
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from hepatica.anatomy.phantoms.objects import Phantom, grid_around, nema_grid, nema_phantom
from hepatica.anatomy.structures.clinical import StructureOptions
from hepatica.core import Estimate, InputFile, Kind, Volume
from hepatica.core.document import document
from hepatica.core.image import Acquisition, Image
from hepatica.errors import GeometryError, InputError, PhysicsError, UnknownNameError
from hepatica.imaging.quantify.acquisition_conditions import Conditions
from hepatica.imaging.quantify.blurred.sphere import mean_recovery, sphere_volume_ml
from hepatica.imaging.quantify.camera_factor import CameraCalibration
from hepatica.imaging.quantify.options import QuantificationOptions
from hepatica.imaging.quantify.recovery import SphereRecovery, fit_recovery
from hepatica.imaging.quantify.response import GaussianPsf
from hepatica.imaging.quantify.structure_activity import PartialVolumeOptions
from hepatica.imaging.reconstruct.resampling import Ensemble
from hepatica.io.calibration_files import load_recovery
from hepatica.io.replicates import save_replicates
from hepatica.report.document import Picture
from hepatica.report.dose_document import dose_document
from hepatica.report.figures.pictures import Pictures
from hepatica.report.html import html_page
from hepatica.workflow.dose.absorbed_dose import absorbed_dose
from hepatica.workflow.dose.options import DoseOptions
from hepatica.workflow.dose.report import dose_report
from hepatica.workflow.dose.result import DoseResult

WHEN = datetime(2026, 3, 2, 10, 0)
FWHM = 12.0
SPHERES = ("sphere 17 mm", "sphere 28 mm", "sphere 37 mm")
ROLES = dict.fromkeys(SPHERES, "tumour")
HOT, WARM = 8e5, 1e5


def image(volume: Volume) -> Image:
    facts = Acquisition(nuclide="Lu-177", start=WHEN, energy_windows_kev=((187.2, 228.8),))
    return Image(volume, None, facts, InputFile("activity", "spect", "0" * 64))


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return nema_phantom(nema_grid((4.0, 4.0, 4.0)), diameters_mm=(17.0, 28.0, 37.0), sphere_wall_mm=0, insert="none")


@pytest.fixture(scope="module")
def seen(phantom: Phantom) -> dict[str, Image]:
    out = {"ct": image(phantom.hu)}
    for name, level in (("cold", 0.0), ("warm", WARM)):
        truth = phantom.activity(dict.fromkeys(SPHERES, HOT) | {"background": level}, time=WHEN)
        blurred = GaussianPsf(FWHM).blur(truth.values, truth.grid) / truth.grid.voxel_volume_ml
        out[name] = image(truth.with_values(blurred, Kind.ACTIVITY_CONCENTRATION))
    return out


def curve_file(folder: Path, conditions: Conditions | None = None) -> Path:
    spheres = [
        SphereRecovery(sphere_volume_ml(d), Estimate(mean_recovery(d, FWHM), 0.01)) for d in (10, 17, 28, 37, 40)
    ]
    file = folder / "recovery.json"
    file.write_text(json.dumps(document(fit_recovery(spheres, conditions or Conditions("Lu-177")))))
    return file


def calibration_file(folder: Path, **changes: object) -> Path:
    made = CameraCalibration(
        Estimate(11.8, 0.354),
        "cylinder",
        replace(Conditions("Lu-177"), **changes),
        (),
        WHEN,
        200.0,  # type: ignore[arg-type]
    )
    file = folder / "calibration.json"
    file.write_text(json.dumps(document(made)))
    return file


def dose(seen: dict[str, Image], phantom: Phantom, name: str = "cold", **said: object) -> DoseResult:
    structures = [phantom.regions[part] for part in (*SPHERES, "body")]
    counted = {name: said.pop(name) for name in ("calibration", "frame_duration_s") if name in said}
    return absorbed_dose(
        seen[name], ct=seen["ct"], nuclide="Lu-177", structures=structures, engine="local",
        options=DoseOptions(
            quantification=QuantificationOptions(administered_at=WHEN, **counted),  # type: ignore[arg-type]
            partial_volume=PartialVolumeOptions(**said),  # type: ignore[arg-type]
            clinical=StructureOptions(structure_roles=ROLES),
        ),
    )  # fmt: skip


def corrected(result: DoseResult) -> dict[str, float]:
    """Concentration in the spheres after the correction, over the truth."""
    seconds = 6.6443 * 86400 / np.log(2)
    return {
        item.dose.name: item.decays / seconds / item.dose.volume_ml * item.activity.factor.value / HOT
        for item in result.structures
        if item.dose.name in SPHERES and item.activity.factor is not None
    }


def test_tumours_are_recovered_by_the_curve(seen: dict[str, Image], phantom: Phantom, tmp_path: Path) -> None:
    result = dose(seen, phantom, partial_volume="region", recovery=curve_file(tmp_path), contour_sd_mm=0.5)
    # The two-parameter curve misses the closed form of a blurred sphere by up to 0.03 of recovery.
    for value in corrected(result).values():
        assert value == pytest.approx(1, abs=0.06)
    plain = dose(seen, phantom)
    for n, name in enumerate(SPHERES):
        assert result[name].dose_mean_gy == plain[name].dose_mean_gy
        document = result.as_dict()["structures"][n]
        assert document["name"] == name
        factor = document["partial_volume"]["factor"]
        assert document["partial_volume"]["dose_mean_corrected_gy"] == pytest.approx(factor * plain[name].dose_mean_gy)
        chain = document["uncertainty"]
        assert chain["not_known"] == ["calibration", "counting statistics"]
        assert document["dose_mean_known_sd_gy"] == pytest.approx(
            chain["dose_sd_percent"] / 100 * document["partial_volume"]["dose_mean_corrected_gy"]
        )
        assert chain["recovery"] == pytest.approx(1 / factor)
    body = result.as_dict()["structures"][3]
    assert body["partial_volume"] is None
    assert "recovery (not corrected)" in body["uncertainty"]["not_known"]
    assert plain.uncertainty_table() is None


@pytest.mark.parametrize("method", ["gtm", "yang"])
@pytest.mark.parametrize("name", ["cold", "warm"])
def test_the_response_undoes_the_blur(seen: dict[str, Image], phantom: Phantom, method: str, name: str) -> None:
    result = dose(seen, phantom, name, partial_volume=method, response_mm=FWHM, response_sd_mm=1.0)
    # In the warm phantom the walls, cold, are part of the body, which is then not uniform.
    tolerance = 0.025 if name == "warm" else 1e-4
    if method == "gtm":
        for value in corrected(result).values():
            assert value == pytest.approx(1, abs=tolerance)
    else:
        # The unblurred image, border voxels and all, is what Yang can give back.
        truth = phantom.activity(dict.fromkeys(SPHERES, HOT) | {"background": WARM * (name == "warm")}, time=WHEN)
        for part in SPHERES:
            region = phantom.regions[part]
            held = float((truth.values[region.window] * region.coverage).sum()) / region.volume_ml
            assert corrected(result)[part] == pytest.approx(held / HOT, abs=tolerance)
    for item in (found.activity for found in result.structures):
        assert item.factor is not None
        assert item.factor.sd is not None
        if item.name in SPHERES:
            assert 0.01 < item.factor.sd / item.factor.value < 0.2
            assert item.uncertainty is not None
            assert item.uncertainty.recovery_exponent > 0.1
    plain = dose(seen, phantom, name)
    before, after = (found["sphere 17 mm"].dose_mean_gy for found in (plain, result))
    if method == "gtm":
        assert after == before
    else:
        factor = result.structure("sphere 17 mm").activity.factor
        assert factor is not None
        assert after / before == pytest.approx(factor.value, rel=0.02)
    text = html_page(dose_document(dose_report(result), Pictures((), Picture("DVH", "", b""), None, 0)))
    assert "Partial volume and uncertainty" in text
    assert "u(recovery)" in text


def test_a_calibration_file_brings_its_uncertainty(seen: dict[str, Image], phantom: Phantom, tmp_path: Path) -> None:
    result = dose(seen, phantom, calibration=calibration_file(tmp_path))
    assert result.count.calibration_relative_sd == pytest.approx(0.03)
    assert any("of the calibration the uncertainty is taken" in str(message) for message in result.messages)
    item = result.structure("body").activity
    assert item.uncertainty is not None
    assert item.uncertainty.activity_relative_sd == pytest.approx(0.03, rel=0.01)
    table = result.uncertainty_table()
    assert table is not None
    assert [row[0] for row in table.rows] == [*SPHERES, "body", "all tumours"]
    counts = seen["cold"].volume
    scaled = counts.values * counts.grid.voxel_volume_ml / 1e6 * 11.8 * 3600
    in_counts = {**seen, "cold": image(counts.with_values(scaled, Kind.COUNTS))}
    by_factor = dose(in_counts, phantom, calibration=calibration_file(tmp_path), frame_duration_s=3600.0)
    # Decay within the hour of views is corrected to its start: half of 0.43 %.
    ratio = by_factor["body"].dose_mean_gy / result["body"].dose_mean_gy
    assert ratio == pytest.approx(1 + np.log(2) / (6.6443 * 24) / 2, rel=1e-4)
    with pytest.raises(InputError, match="was measured under other conditions"):
        dose(seen, phantom, calibration=calibration_file(tmp_path, nuclide="Y-90"))
    with pytest.raises(InputError, match="energy window"):
        dose(seen, phantom, calibration=calibration_file(tmp_path, window_kev=(100.0, 120.0)))


def test_noise_of_the_counts_comes_from_replicates(seen: dict[str, Image], phantom: Phantom, tmp_path: Path) -> None:
    values, file = seen["cold"].volume.values, tmp_path / "spect_replicates.npz"
    scale = np.random.default_rng(5).normal(1, 0.04, 12).astype(np.float32)
    window = phantom.regions["sphere 37 mm"].window
    images = np.zeros((12, *values.shape), dtype=np.float32)
    images[(slice(None), *window)] = values[window] * scale[:, None, None, None]
    save_replicates(file, Ensemble(images, 5), phantom.grid)
    result = dose(seen, phantom, replicates=file, contour_sd_mm=0.5)
    item = result.structure("sphere 37 mm").activity
    assert item.uncertainty is not None
    assert item.uncertainty.counting_relative_sd == pytest.approx(scale.std(ddof=1) / scale.mean(), rel=1e-4)
    assert "counting statistics" not in item.uncertainty.not_known
    assert result.provenance.inputs[-1].role == "replicates"
    other = grid_around((100, 100, 100), spacing_mm=(5, 5, 5))
    save_replicates(file, Ensemble(np.ones((4, *other.shape), np.float32), 5), other)
    with pytest.raises(GeometryError, match="are not those of the activity image"):
        dose(seen, phantom, replicates=file)
    file.write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(InputError, match="no file of replicates"):
        dose(seen, phantom, replicates=file)


def test_what_does_not_go_together_is_refused(seen: dict[str, Image], phantom: Phantom, tmp_path: Path) -> None:
    file = curve_file(tmp_path)
    for said, message in (
        ({"partial_volume": "region"}, "need each other"),
        ({"partial_volume": "none", "recovery": file}, "need each other"),
        ({"partial_volume": "gtm"}, "`response_mm`"),
        ({"response_mm": 12.0}, "`response_mm`"),
        ({"partial_volume": "gtm", "response_mm": -1.0}, "`response_mm` must be positive"),
        ({"partial_volume": "gtm", "response_mm": 12.0, "response_sd_mm": -1.0}, "`response_sd_mm` must be from 0"),
    ):
        with pytest.raises(InputError, match=message):
            PartialVolumeOptions(**said)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="`partial_volume`"):
        PartialVolumeOptions(partial_volume="magic")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="nuclide: Y-90 against Lu-177"):
        dose(seen, phantom, recovery=curve_file(tmp_path, Conditions("Y-90")))
    with pytest.raises(InputError, match="voxel size"):
        dose(seen, phantom, recovery=curve_file(tmp_path, Conditions("Lu-177", voxel_mm=(5, 5, 5))))
    with pytest.raises(PhysicsError, match="condition number"):
        dose(seen, phantom, partial_volume="gtm", response_mm=60.0)
    for part, name, error, message in (
        ("body", "cold", InputError, "no structure is a tumour"),
        ("core", "warm", PhysicsError, r"tumour 'tumour': .* lies outside the spheres .*`recovery_extrapolate`"),
    ):
        region = phantom.regions[part]
        with pytest.raises(error, match=message):
            absorbed_dose(
                seen[name], ct=seen["ct"], nuclide="Lu-177", engine="local",
                structures=[region if part == "body" else region.renamed("tumour")],
                options=DoseOptions(
                    quantification=QuantificationOptions(administered_at=WHEN),
                    partial_volume=PartialVolumeOptions(partial_volume="region", recovery=curve_file(tmp_path)),
                ),
            )  # fmt: skip


def test_a_curve_of_another_orbit_s_blur_is_said(seen: dict[str, Image], phantom: Phantom, tmp_path: Path) -> None:
    """The default leaves more blur in the image of a larger orbit than the curve's phantom had."""
    curve = curve_file(tmp_path, Conditions("Lu-177", reconstruction={"remaining_blur_mm": 11.1}))
    for left_mm, is_said in ((11.1, False), (13.3, True)):
        acquisition = replace(seen["cold"].acquisition, reconstruction={"remaining_blur_mm": left_mm})
        image = replace(seen["cold"], acquisition=acquisition)
        result = dose({**seen, "cold": image}, phantom, partial_volume="region", recovery=curve)
        assert ("other-blur-left" in {message.code for message in result.messages}) is is_said


def test_a_curve_and_replicates_are_as_good_as_their_files(
    seen: dict[str, Image], phantom: Phantom, tmp_path: Path
) -> None:
    file = curve_file(tmp_path)
    by_file, by_value = (dose(seen, phantom, recovery=curve) for curve in (file, load_recovery(file)))
    for key in ("structures", "decays", "energy_balance"):
        assert by_value.as_dict()[key] == by_file.as_dict()[key]


def test_tumours_that_nobody_corrected_are_said_with_what_they_lose(
    seen: dict[str, Image], phantom: Phantom, tmp_path: Path
) -> None:
    """In a cold phantom the share of the contrast that is lost is what the mean lacks; per cents are whole."""
    image = replace(
        seen["cold"], acquisition=replace(seen["cold"].acquisition, reconstruction={"remaining_blur_mm": FWHM})
    )
    made = dose({**seen, "cold": image}, phantom)
    (message,) = [one for one in made.messages if one.code == "tumours-not-recovered"]
    said = {name: int(percent) for name, percent in re.findall(r"'(sphere \d+ mm)' (\d+)%", message.text)}
    assert set(said) == set(SPHERES)
    for name in SPHERES:
        region = phantom.regions[name]
        lost = 100 * (1 - region.mean(image.volume) / HOT)
        assert said[name] == pytest.approx(lost, abs=1)
    curve = curve_file(tmp_path)
    for which, how in ((image, {"recovery": curve}), (seen["cold"], {})):
        codes = {one.code for one in dose({**seen, "cold": which}, phantom, **how).messages}
        assert "tumours-not-recovered" not in codes
