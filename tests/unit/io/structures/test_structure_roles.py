"""What a structure is stays what it is, through every writer and reader."""

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813 - its usual name

from hepatica.anatomy.structures.clinical import Structure, clinical_regions
from hepatica.anatomy.structures.codes import coded_meaning, codes_of, with_codes
from hepatica.anatomy.structures.drawn import DrawnStructures
from hepatica.anatomy.structures.roles import identified
from hepatica.core import Grid, Region
from hepatica.core.context import DicomContext
from hepatica.core.region import Code
from hepatica.io.dicom.structures.rtstruct import write_rtstruct
from hepatica.io.dicom.structures.seg import write_seg
from hepatica.io.structures.regions import drawn_structures, read_structures

NAMES = (
    "Leber", "Tumour 1", "Läsion 2", "A3", "perfused", "Lung_L", "Lung_R", "Magen", "PTV", "lymph node",
    "Lungenmetastase", "External",
)  # fmt: skip
ROLES = {"A3": "necrosis"}


def block(grid: Grid, name: str, n: int) -> Region:
    values = np.zeros(grid.shape)
    values[2 + n : 5 + n, 3:7, 2:5] = 1
    return Region.from_coverage(name, grid, values)


@pytest.fixture
def clinical(oblique_grid: Grid) -> dict[str, tuple[Region, Structure, bool]]:
    """Structures as drawn, with the user's word for one, and those that follow from them."""
    drawn = [block(oblique_grid, name, n) for n, name in enumerate(NAMES)]
    whole = np.zeros(oblique_grid.shape)
    whole[1:20, 2:10, 1:7] = 1
    drawn[0] = Region.from_coverage("Leber", oblique_grid, whole)
    drawn[4] = Region.from_coverage("perfused", oblique_grid, whole * (np.indices(oblique_grid.shape)[0] < 8))
    return {
        item.region.name: (item.region, item.structure, item.derived) for item in clinical_regions(drawn, roles=ROLES)
    }


def found_in(source: Path, grid: Grid) -> DrawnStructures:
    return drawn_structures(source, grid)


@pytest.mark.parametrize("kind", ["seg", "rtstruct", "nifti"])
def test_roles_are_the_same_through_every_file(
    kind: str,
    clinical: dict[str, tuple[Region, Structure, bool]],
    oblique_grid: Grid,
    context: DicomContext,
    tmp_path: Path,
) -> None:
    regions = [with_codes(region, role, derived=derived) for region, role, derived in clinical.values()]
    path = tmp_path / {"nifti": "labels.nii.gz"}.get(kind, "s.dcm")
    if kind == "seg":
        write_seg(path, regions, context)
    elif kind == "rtstruct":
        write_rtstruct(path, regions, context)
    else:
        # One file for each: labels exclude each other.
        for region, role, derived in clinical.values():
            image = sitk.GetImageFromArray(region.mask().T.astype(np.uint8))
            sitk.WriteImage(image, str(path))
            entry = {"name": region.name, "role": role.value, "derived": derived}
            (tmp_path / "labels.json").write_text(json.dumps({"1": entry}), encoding="utf-8")
            (read,) = read_structures(path, Grid.axial(oblique_grid.shape, spacing_mm=(1, 1, 1))).regions
            known = identified([read])
            assert (known.roles[region.name], region.name in known.derived) == (role, derived)
        return
    found = found_in(path, oblique_grid)
    assert dict(found.roles) == {name: role for name, (_, role, _) in clinical.items()}
    again = clinical_regions(list(found.regions.values()))
    derived = {item.region.name for item in again if item.derived}
    assert derived == {name for name, (_, _, made) in clinical.items() if made}
    assert derived == {"all tumours", "liver minus tumours", "perfused minus tumours", "lungs"}
    assert ["'PTV'" in m.text for m in found.messages if m.code == "structure-in-doubt"] == [True]


def test_what_is_written_says_what_it_is(
    clinical: dict[str, tuple[Region, Structure, bool]], context: DicomContext, tmp_path: Path
) -> None:
    regions = [with_codes(region, role, derived=derived) for region, role, derived in clinical.values()]
    write_seg(tmp_path / "seg.dcm", regions, context)
    write_rtstruct(tmp_path / "rs.dcm", regions, context)
    segments = {s.SegmentLabel: s for s in pydicom.dcmread(tmp_path / "seg.dcm").SegmentSequence}
    meaning = {name: s.SegmentedPropertyTypeCodeSequence[0].CodeMeaning for name, s in segments.items()}
    assert meaning["liver minus tumours"] == "Liver"
    assert meaning["all tumours"] == "Neoplasm"
    assert meaning["Magen"] == "Stomach"
    assert meaning["A3"] == "Necrosis"
    rs = pydicom.dcmread(tmp_path / "rs.dcm")
    names = {roi.ROINumber: roi.ROIName for roi in rs.StructureSetROISequence}
    types = {names[o.ReferencedROINumber]: o.RTROIInterpretedType for o in rs.RTROIObservationsSequence}
    assert (types["Leber"], types["Tumour 1"], types["External"]) == ("ORGAN", "GTV", "EXTERNAL")
    assert (types["all tumours"], types["liver minus tumours"], types["PTV"]) == ("", "", "")


def coded(name: str, grid: Grid, *codes: Code) -> Region:
    region = block(grid, name, 0)
    return Region(region.name, region.grid, region.window, region.coverage, codes=codes)


LIVER, NEOPLASM = Code("10200004", "SCT", "Liver"), Code("108369006", "SCT", "Neoplasm")


@pytest.mark.parametrize(
    ("name", "code", "role"),
    [
        ("Segment_1", LIVER, "liver"), ("Segment_1", NEOPLASM, "tumour"),
        ("ROI 4", Code("7197", "FMA", "Liver"), "liver"),
        ("right lobe", LIVER, "liver_lobe"), ("liver minus tumours", NEOPLASM, "normal_liver"),
        ("all tumours", NEOPLASM, "all_tumours"), ("x", Code("T-C3000", "SRT", "Spleen"), "spleen"),
        ("Tumour 1", Code("ORGAN", "RTROIInterpretedType", "ORGAN"), "tumour"),
        ("x", Code("GTV", "RTROIInterpretedType", "GTV"), "tumour"),
        ("Outline 3", Code("EXTERNAL", "RTROIInterpretedType", "EXTERNAL"), "body"),
        ("x", Code("85756007", "SCT", "Tissue"), "other"), ("lung met", NEOPLASM, "tumour_elsewhere"),
        ("Tumour 1", Code("perfused", "99HEPATICA", "Perfused"), "perfused"),
    ],
)  # fmt: skip
def test_codes_and_names_together(name: str, code: Code, role: str, oblique_grid: Grid) -> None:
    assert identified([coded(name, oblique_grid, code)]).roles[name] == role


@pytest.mark.parametrize(
    ("name", "code"), [("Liver", NEOPLASM), ("Tumour 1", LIVER), ("GTV", Code("PTV", "RTROIInterpretedType", "PTV"))]
)
def test_a_name_and_a_code_that_contradict_each_other_are_asked_about(
    name: str, code: Code, oblique_grid: Grid
) -> None:
    region = coded(name, oblique_grid, code)
    found = identified([region])
    assert found.roles[name] == "other"
    (message,) = found.messages
    assert message.code == "structure-in-doubt"
    assert "by its code" in message.text
    assert identified([region], {name: "tumour"}).roles[name] == "tumour"


def test_every_role_has_codes_that_read_back() -> None:
    for role in Structure:
        for derived in (False, True):
            category, kind, own = codes_of(role, derived=derived)
            found = coded_meaning((*own, kind, category))
            assert (found.structure, found.exact, found.derived) == (role, True, derived)


def test_terminology_of_a_slicer_segmentation(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(np.pad(np.ones((3, 3, 3), np.uint8), 2))
    entry = "TerminologyEntry:3D Slicer General Anatomy list~SCT^49755003^Altered Structure~SCT^4147007^Mass"
    for key, value in (("Name", "Segment_1"), ("LabelValue", "1"), ("Layer", "0"), ("Tags", f"{entry}~^^~x~^^~^^|")):
        image.SetMetaData(f"Segment0_{key}", value)
    sitk.WriteImage(image, str(tmp_path / "s.seg.nrrd"))
    grid = Grid.axial((7, 7, 7), spacing_mm=(1, 1, 1))
    assert found_in(tmp_path / "s.seg.nrrd", grid).roles == {"Segment_1": Structure.TUMOUR}
