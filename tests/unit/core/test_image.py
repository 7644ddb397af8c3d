"""An image made from an array."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from hepatica.core import Grid, Kind
from hepatica.core.context import DicomContext
from hepatica.core.document import document
from hepatica.core.image import Image, Stated, require_together
from hepatica.core.message import Message
from hepatica.errors import DicomError, GeometryError, HepaticaError, InputError, TimeError, UnitError
from hepatica.workflow.inspect import inspect_images
from hepatica.workflow.sources import as_image, as_images

WHEN = datetime(2026, 3, 2, 10, 30)


def image(**changed: object) -> Image:
    facts: dict[str, object] = {"unit": "kBq/mL", "spacing_mm": (4, 4, 5), "time": WHEN, "nuclide": "90Y"}
    return Image.from_array(np.arange(24).reshape(2, 3, 4), **(facts | changed))  # type: ignore[arg-type]


def test_unit_time_and_facts() -> None:
    made = image(administered_bq=2.1e9, administered_at=WHEN, frame_duration_s=1200.0, name="my SPECT")
    assert made.volume.kind is Kind.ACTIVITY_CONCENTRATION
    assert made.volume.values[1, 2, 3] == 23000
    assert (made.time, made.acquisition.nuclide, made.acquisition.administered_bq) == (WHEN, "Y-90", 2.1e9)
    assert made.grid.spacing_mm == (4, 4, 5)
    assert (made.name, made.source.files, len(made.source.sha256)) == ("my SPECT", 0, 64)
    assert made.missing == ()
    assert image(nuclide=None, time=None).missing == ("which nuclide it is", "the instant that the values refer to")


def test_on_a_grid_of_the_patient(oblique_grid: Grid) -> None:
    values = np.ones(oblique_grid.shape, np.float32)
    made = Image.from_array(values, unit="HU", grid=oblique_grid)
    values[:] = 5
    assert made.grid == oblique_grid
    assert float(made.volume.values.max()) == 1
    assert made.volume.values.dtype == np.float32
    assert Image.from_array(values.astype(int), unit="label", grid=oblique_grid).volume.kind is Kind.LABEL


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"unit": "furlong"}, UnitError, "voxel unit 'furlong' is not known"),
        ({"spacing_mm": None}, GeometryError, "either `spacing_mm` or `grid`"),
        ({"grid": Grid.axial((2, 3, 4), spacing_mm=(1, 1, 1))}, GeometryError, "either `spacing_mm` or `grid`"),
        ({"spacing_mm": (4, 0, 4)}, GeometryError, "must be positive"),
        ({"time": "2026-03-02"}, TimeError, "`time` is an instant"),
        ({"nuclide": "yttrium please"}, InputError, "write for example Y-90"),
        ({"administered_bq": -1}, InputError, "`administered_bq` must be a positive number"),
        ({"administered_mbq": 3}, InputError, "no option `administered_mbq`; did you mean `administered_bq`"),
    ],
)
def test_what_makes_no_sense_is_refused(changed: dict[str, object], error: type[HepaticaError], words: str) -> None:
    with pytest.raises(error, match=words):
        image(**changed)


@pytest.mark.parametrize(
    ("values", "unit", "words"),
    [
        (np.zeros((4, 4)), "HU", "three axes"),
        (np.zeros((2, 2, 2), complex), "HU", "real numbers"),
        (np.full((2, 2, 2), np.nan), "HU", "NaN or infinite"),
        (np.full((2, 2, 2), 1.5), "label", "whole numbers"),
        ([[["a"]]], "HU", "real numbers"),
    ],
)
def test_arrays_that_are_no_volume_are_refused(values: object, unit: str, words: str) -> None:
    with pytest.raises(HepaticaError, match=words):
        Image.from_array(values, unit=unit, spacing_mm=(1, 1, 1))  # type: ignore[arg-type]


def test_another_nuclide_is_refused_with_the_remedy() -> None:
    with pytest.raises(DicomError, match=r"the header says Y-90, asked for is Ho-166; .*`accept_nuclide`"):
        image().require_nuclide("Ho-166")
    image().require_nuclide("Y-90")


def test_what_is_stated_of_an_image_is_checked_or_taken() -> None:
    bare = image(nuclide=None, time=None)
    taken = bare.stating(Stated(unit="Bq/mL", time=WHEN, nuclide="Y-90"))
    assert (taken.acquisition.nuclide, taken.time, taken.missing, taken.messages) == ("Y-90", WHEN, (), ())
    assert taken.stating(Stated(time=WHEN, nuclide="Y-90")).messages == ()
    later = taken.stating(Stated(time=WHEN.replace(hour=12)))
    assert (later.time, later.messages[0].code) == (WHEN.replace(hour=12), "reference-time-stated")
    with pytest.raises(UnitError, match="the unit stated, 'counts', contradicts it"):
        bare.stating(Stated(unit="counts"))
    with pytest.raises(DicomError, match="`accept_nuclide`"):
        taken.stating(Stated(nuclide="Ho-166"))
    overridden = taken.stating(Stated(nuclide="Ho-166", override_nuclide=True))
    assert (overridden.messages[0].code, overridden.acquisition.nuclide) == ("nuclide-overridden", "Ho-166")
    corrected = replace(taken, acquisition=replace(taken.acquisition, decay_correction="START"))
    with pytest.raises(InputError, match="corrected for the decay of Y-90; give its file"):
        corrected.stating(Stated(nuclide="Ho-166", override_nuclide=True))


def test_a_positron_fraction_of_another_nuclide_is_not_taken_over() -> None:
    fluorine = Image.from_array(
        np.ones((2, 3, 4)), unit="Bq/mL", spacing_mm=(2, 2, 2), time=WHEN, nuclide="F-18", positron_fraction=0.967
    )
    with pytest.raises(InputError, match=r"divided by the positron fraction of F-18 \(0.967\)"):
        fluorine.stating(Stated(nuclide="Y-90", override_nuclide=True))
    assert fluorine.stating(Stated(nuclide="F-18")).acquisition.positron_fraction == 0.967


def test_a_path_or_an_image(tmp_path: Path) -> None:
    made = image()
    assert as_image(made, role="activity").source.role == "activity"
    (one,) = as_images(made, role="activity")
    assert one.volume is made.volume
    assert len(as_images([made, made], role="activity")) == 2
    for wrong in (np.zeros((2, 2, 2)), made.volume, 3, None):
        with pytest.raises(InputError, match=r"an image is a path or a hepatica.Image, not .*Image.from_array"):
            as_images(wrong, role="activity")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no image was given"):
        as_images([], role="activity")
    with pytest.raises(InputError, match="no such file"):
        as_image(tmp_path / "nowhere", role="ct")


def test_it_shows_itself() -> None:
    made = image().with_messages(Message("padding-is-air", "3 voxels <are> air", severity="note"))
    assert "activity concentration" in repr(made)
    seen = replace(made, acquisition=replace(made.acquisition, seen_z_mm=(-3.0, 4.5), energy_windows_kev=((75, 225),)))
    page = seen._repr_html_()
    assert "3 voxels &lt;are&gt; air" in page
    assert "-3, 4.5" in page
    assert "75-225" in page
    found = document(made)
    assert (found["unit"], found["time"], found["grid"]["shape"]) == ("Bq/mL", "2026-03-02T10:30:00", [2, 3, 4])
    assert found["messages"][0]["code"] == "padding-is-air"
    assert made.used_as("ct").source.role == "ct"


def test_what_only_a_file_can_need_is_not_stated_of_an_image() -> None:
    for stated in (Stated(slice_spacing_mm=3.0),):
        with pytest.raises(InputError, match="`slice_spacing_mm` belongs to a file"):
            as_image(image(), role="activity", stated=stated)
    with pytest.raises(InputError, match="`series` chooses one from a folder"):
        as_image(image(), role="activity", series="1.2")
    with pytest.raises(UnitError, match="the unit stated, 'counts', contradicts it"):
        inspect_images(image(), voxel_unit="counts")
    assert inspect_images(image(), voxel_unit="Bq/mL").series[0].unit == "Bq/mL"


def of_patient(patient_id: str) -> Image:
    return replace(image(name=f"image of {patient_id}"), context=DicomContext.invented(patient_id=patient_id))


def test_images_of_one_patient_go_together_and_of_two_do_not() -> None:
    assert require_together([of_patient("A"), of_patient("A")], registered=False) == ()
    assert require_together([of_patient("A"), image()], registered=False) == ()  # an array names nobody
    (note,) = require_together([of_patient("A"), of_patient("")], registered=False)
    assert note.code == "patient-not-checked"
    with pytest.raises(InputError, match="is of patient 'A', image of B of 'B'"):
        require_together([of_patient("A"), of_patient("B")], registered=True)
    with pytest.raises(InputError, match="is of patient 'A', image of B of 'B'"):
        require_together([of_patient("B"), of_patient("A"), of_patient("B")], registered=True)
