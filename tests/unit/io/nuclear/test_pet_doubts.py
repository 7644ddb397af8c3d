"""What the header of a PET says that makes its becquerels wrong."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicom_makers import changed, pet_series, radiopharmaceutical, ramp, save, small_grid
from hepatica.core.image import Image
from hepatica.errors import PhysicsError
from hepatica.imaging.quantify.options import QuantificationOptions
from hepatica.io.dicom.images.pet_doubts import positron_note, require_imaged_by_pet
from hepatica.io.read import read_image
from hepatica.workflow.dose.quantify import quantify

GRID = small_grid()
STORED = ramp(GRID)


def read(folder: Path, datasets: list[Dataset]) -> Image:
    save(datasets, folder)
    return read_image(folder)


def codes(image: Image) -> set[str]:
    return {message.code for message in image.messages}


def test_a_fraction_of_18f_left_in_is_critical_and_names_the_factor() -> None:
    (message,) = positron_note("Y-90", 0.967)
    assert message.severity == "critical"
    assert "that of F-18" in message.text
    # 0.967 / 31.86e-6
    assert "multiply by 30352" in message.remedy
    (near,) = positron_note("Y-90", 34e-6)
    assert near.severity == "warning"
    assert not positron_note("Y-90", 31.86e-6)
    assert not positron_note("F-18", 0.967)


@pytest.mark.parametrize("name", ["Ho-166", "Re-188"])
def test_a_pet_of_what_emits_no_positrons_is_refused(name: str) -> None:
    with pytest.raises(PhysicsError, match="emits no positrons"):
        require_imaged_by_pet(name)
    for fine in ("Y-90", "F-18", None):
        require_imaged_by_pet(fine)


def test_randoms_that_were_not_taken_off(tmp_path: Path) -> None:
    image = read(tmp_path, pet_series(GRID, STORED, RandomsCorrectionMethod="NONE"))
    assert "not-randoms-corrected" in codes(image)
    assert "not-randoms-corrected" not in codes(
        read(tmp_path / "b", pet_series(GRID, STORED, RandomsCorrectionMethod="SING"))
    )


def test_randoms_of_which_nothing_is_stated(tmp_path: Path) -> None:
    corrected = ["DECY", "ATTN", "SCAT"]
    silent = read(tmp_path, changed(pet_series(GRID, STORED, CorrectedImage=corrected), RandomsCorrectionMethod=None))
    assert "randoms-correction-not-stated" in codes(silent)
    stated = read(tmp_path / "b", pet_series(GRID, STORED, CorrectedImage=[*corrected, "RAN"]))
    assert "randoms-correction-not-stated" not in codes(stated)


def test_randoms_of_which_two_things_are_stated(tmp_path: Path) -> None:
    corrected = ["DECY", "ATTN", "SCAT"]
    odd = pet_series(GRID, STORED, CorrectedImage=corrected, RandomsCorrectionMethod="SING")
    assert "randoms-correction-contradicted" in codes(read(tmp_path, odd))
    sound = pet_series(GRID, STORED, CorrectedImage=[*corrected, "RAN"], RandomsCorrectionMethod="SING")
    assert "randoms-correction-contradicted" not in codes(read(tmp_path / "b", sound))


def test_slices_without_prompts(tmp_path: Path) -> None:
    datasets = pet_series(GRID, STORED, PrimaryPromptsCountsAccumulated=120000)
    assert "prompts-missing" not in codes(read(tmp_path, datasets))
    changed(datasets[:2], PrimaryPromptsCountsAccumulated=0)
    image = read(tmp_path / "b", datasets)
    (message,) = [m for m in image.messages if m.code == "prompts-missing"]
    assert f"2 of {GRID.shape[2]} slices" in message.text


def test_the_values_are_what_they_were(tmp_path: Path) -> None:
    plain = read(tmp_path, pet_series(GRID, STORED))
    item = radiopharmaceutical(RadionuclidePositronFraction="0.967")
    other = read(tmp_path / "b", pet_series(GRID, STORED, item=item))
    np.testing.assert_array_equal(plain.volume.values, other.volume.values)
    assert [m.severity for m in other.messages if m.code == "positron-fraction-differs"] == ["critical"]


def test_quantify_tells_that_18f_was_left_in(tmp_path: Path) -> None:
    # the dose's door to a PET is the same function (`workflow.dose.decays`)
    save(pet_series(GRID, STORED), tmp_path)
    held = quantify(tmp_path, nuclide="Y-90").activity_mbq
    for factor, code in ((0.967 / 31.86e-6, "pet-total-explained"), (1.0, None)):
        given = QuantificationOptions(administered_bq=held * 1e6 * factor * 1.03)
        found = {message.code: message for message in quantify(tmp_path, nuclide="Y-90", quantification=given).messages}
        assert (code in found) == (code is not None)
        if code:
            assert "F-18" in found[code].text
            assert "activity-disagrees" in found


@pytest.mark.parametrize(
    ("method", "below"),
    [
        ("list-mode WLS TOF, PSF 4.5 mm, 8i1s", True),
        ("NEGML", True),
        ("AML", True),
        ("ABML+PSF", True),
        ("OSEM 3i21s", False),
        ("BLOB-OS-TF", False),
        ("AMLODIPINE", False),
        ("", False),
    ],
)
def test_a_method_without_a_bound_at_zero_is_seen_in_the_file(tmp_path: Path, method: str, below: bool) -> None:
    image = read(tmp_path, changed(pet_series(GRID, STORED), ReconstructionMethod=method))
    assert image.acquisition.below_zero is below
