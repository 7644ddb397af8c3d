"""The plan editor gives what the step gives, from the same inputs, or refuses as it does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import course_makers
from course_makers import FACTS, RATIO, write_scout
from hepatica import Case
from hepatica.core import Grid, Volume
from hepatica.core.document import document
from hepatica.core.text.files import json_file
from hepatica.errors import HepaticaError
from hepatica.io.dicom.images.write import write_nm
from hepatica.web.desk import OpenCase
from hepatica.web.plans import course_document, planned

PARTS = {"Perfused a": ((-80, -32), (-56, 56), (-72, 24)), "Perfused b": ((-32, -8), (-56, 56), (-72, 24))}
"""The tumour lies in the first one; borders of voxels, LPS mm."""


SEEN = 24
"""Slices of the scout: it cuts the lungs off, which the CT shows whole."""


def write_cut_off(path: Path, counts: Volume, *rest: Any, **more: Any) -> Any:
    """A scout whose field of view ends in the lungs."""
    grid = Grid((*counts.grid.shape[:2], SEEN), counts.grid.affine, counts.grid.frame_of_reference)
    return write_nm(path, Volume(grid, counts.values[:, :, :SEEN], counts.kind, counts.time), *rest, **more)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A patient of boxes at the scout, whose perfused volume has two parts and whose lungs are cut off."""
    scratch = tmp_path_factory.mktemp("scout")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(course_makers, "BOXES", course_makers.BOXES | PARTS)
        patch.setattr(course_makers, "DRAWN", ("Liver", "Tumour 1", "Lungs", *PARTS))
        patch.setattr(course_makers, "write_nm", write_cut_off)
        write_scout(scratch / "scout")
    case = Case.new(tmp_path_factory.mktemp("case") / "case")
    case.add(scratch)
    case.set(**(FACTS | {"treatment.territory.name": "Perfused a"}))
    return case


def by_step(case: Case) -> dict[str, Any]:
    case.run("plan")
    found: dict[str, Any] = json_file(case.folder / "steps" / "plan" / "result.json")
    return found


def edited(case: Case, **edits: str | None) -> dict[str, Any]:
    return course_document(planned(OpenCase("0", case.folder), 1, edits)[0])


def same(one: Any, other: Any) -> bool:
    """Whether two documents agree in all that both have, numbers to the last digits."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return all(same(one[key], other[key]) for key in one.keys() & other.keys())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return (
        one == pytest.approx(other, rel=1e-9) if isinstance(one, float) and isinstance(other, float) else one == other
    )


PARTS_OF_A_PLAN = ("planned_gbq", "administered_gbq", "doses", "limits", "compared", "territories", "assumptions")


def agree(case: Case) -> None:
    step, editor = document(by_step(case)), document(edited(case))
    wrong = [name for name in PARTS_OF_A_PLAN if name in step and not same(editor[name], step[name])]
    assert not wrong, [(editor[name], step[name]) for name in wrong]


def test_a_stated_shunt_has_the_same_uncertainty_in_editor_and_step(case: Case) -> None:
    case.run("lung-shunt", "uptake")
    case.state(
        {
            "treatment.1.lungs.lung_shunt": "8 %",
            "treatment.1.images.keep_stated.lung_shunt": "planar scan of the same day",
        }
    )
    agree(case)
    case.state({"treatment.1.lungs.lung_shunt": None, "treatment.1.images.keep_stated.lung_shunt": None})


def test_without_the_step_of_uptake_both_take_the_masses_from_the_images(case: Case) -> None:
    case.skip("uptake", "measured elsewhere")
    agree(case)
    case.state({"treatment.1.territory.1.name": "Nowhere"})
    with pytest.raises(HepaticaError, match="Nowhere") as of_editor:
        edited(case)
    with pytest.raises(HepaticaError, match="Nowhere") as of_step:
        case.run("plan")
    assert str(of_editor.value) in str(of_step.value)
    case.state({"treatment.1.territory.1.name": "Perfused a"})


def test_several_territories_are_each_measured_in_the_images(case: Case) -> None:
    case.state({f"treatment.1.territory.{n}.name": name for n, name in enumerate(PARTS, 1)})
    case.run("uptake")  # of the whole liver: it stands beside, and no territory takes it
    agree(case)
    first, second = edited(case)["territories"]
    # Both parts hold one density and one uptake per gram: masses go as the boxes, without the tumour.
    tumour = 32.0**3
    normal = [48 * 112 * 96 - tumour, 24 * 112 * 96]
    masses = [one["methods"]["mird"]["terms"]["perfused_mass_kg"] for one in (first, second)]
    # Liver of 60 HU has 1.06 g/mL within 2 % by every calibration of a CT.
    assert masses[1] == pytest.approx(normal[1] * 1.06e-6, rel=0.02)
    assert masses[0] == pytest.approx((normal[0] + tumour) * 1.06e-6, rel=0.02)
    assert not second["methods"]["mird"]["doses"].get("lesions_gy")
    (dose,) = first["methods"]["mird"]["doses"]["lesions_gy"].values()
    assert dose / first["methods"]["mird"]["doses"]["normal_liver_gy"] == pytest.approx(RATIO, rel=0.02)


def test_several_territories_of_several_agents_are_those_of_the_step(tmp_path: Path) -> None:
    case = Case.new(tmp_path / "case")
    head = {"agent": "glass", "at": "2026-03-12T10:00+01:00", "aims.perfused": "120 Gy", "aims.tumour": "205 Gy",
            "lungs.lung_shunt": "5 %", "territory.1.name": "right", "territory.1.normal_mass": "0.9 kg",
            "territory.2.name": "left", "territory.2.normal_mass": "0.5 kg", "territory.2.agent": "resin"}  # fmt: skip
    lesion = {"name": "a", "mass": "60 g", "tumour_to_normal": "3"}
    stated = head | {f"territory.2.lesion.1.{key}": value for key, value in lesion.items()}
    case.set(**{f"treatment.1.{key}": value for key, value in stated.items()})
    edits = {"territory.2.administered": "0.7 GBq", "territory.2.method": "stated", "territory.1.lung_shunt": "4 %"}
    edited = course_document(planned(OpenCase("key", case.folder), 1, edits)[0])
    case.set(**{f"treatment.1.{key}": value for key, value in edits.items()})
    case.run("plan")
    stored = json_file(case["plan"] / "result.json")
    for part in ("planned_gbq", "administered_gbq", "doses", "limits"):
        assert edited[part] == stored[part], part
