import csv
import io
import re
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.message import Message
from hepatica.dosimetry.engines.dose_map import DoseMap, DoseSettings, EnergyBalance
from hepatica.dosimetry.metrics.region_dose import region_dose
from hepatica.errors import GeometryError, InputError
from hepatica.nuclides.dose_limits import DoseLimit
from hepatica.report import DoseReport, Fact, ImageUsed, LimitRow, ReportRegion, limit_rows
from hepatica.report.dose_document import dose_document
from hepatica.report.figures.dosimetry.dose import comparison_figure, isodose_levels_gy, png
from hepatica.report.figures.images.planes import Plane, centre_of, framed, sample, sample_region
from hepatica.report.figures.palette import structure_styles
from hepatica.report.figures.pictures import Pictures, draw
from hepatica.report.files import report_files
from hepatica.report.html import html_page
from hepatica.report.pdf import pdf_page
from hepatica.report.provenance import provenance_rows
from hepatica.report.tables import agent_limits_table, dvh_csv, limit_row, metrics_csv, v_rows

NASTY = "<script>alert('x')</script> & Möller^Żółć $x_1$"


@pytest.fixture(scope="module")
def report() -> DoseReport:
    """Oblique dose grid, finer axial CT, one lesion with a hostile name."""
    turn = np.deg2rad(15)
    affine = np.eye(4)
    affine[:3, :3] = np.array(
        [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, -1]]
    ) @ np.diag([4.0, 5.0, 6.0])
    affine[:3, 3] = (-40, -60, 70)
    grid = Grid((30, 26, 22), affine, "1.2.3")
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    middle = grid.to_mm((np.asarray(grid.shape) - 1) / 2)
    distance = np.linalg.norm(points - middle - [10, 0, 5], axis=-1)
    dose = Volume(grid, 150 * np.exp(-((distance / 18) ** 2)) + 2, Kind.DOSE)
    density = Volume(grid, np.full(grid.shape, 1.05), Kind.DENSITY)
    made = DoseMap(
        dose, None, density, Volume(grid, dose.values * 1e6, Kind.DECAYS), "Y-90", "local", DoseSettings(),
        EnergyBalance(1.0, 1.0),
    )  # fmt: skip
    lesion = Region.from_coverage(NASTY, grid, distance < 14)
    liver = Region.from_coverage("liver", grid, np.linalg.norm(points - middle, axis=-1) < 45)
    body = Region.from_coverage("body", grid, np.linalg.norm((points - middle)[..., :2], axis=-1) < 58)
    fine = Grid.axial(
        (60, 60, 50), spacing_mm=(2.5, 2.5, 3), origin_mm=middle - [74, 74, 74], frame_of_reference="1.2.3"
    )
    ct = Volume(fine, np.random.default_rng(0).normal(50, 15, fine.shape), Kind.HU)
    regions = tuple(
        ReportRegion(region, region_dose(made, region), kind)
        for region, kind in ((body, "body"), (liver, "liver"), (lesion, "tumour"))
    )
    return DoseReport(
        dose=dose,
        regions=regions,
        ct=ct,
        decays=made.decays,
        patient=(Fact("Patient", NASTY), Fact("Identifier", "42")),
        treatment=(Fact("Agent", "⁹⁰Y glass"),),
        method=(Fact("Dose engine", "local"),),
        conventions=(Fact("Energy", "ENSDF"),),
        images=(ImageUsed("CT", "series 2", "HU", "2026-03-02", str(fine)),),
        limits=(LimitRow("liver", "<=", 40.0, 39.0, "whole liver", "somebody 2020"),),
        messages=(Message("activity-high", "the activity is 30 % too high"),),
        provenance=made.provenance.as_dict() | {"inputs": [{"role": "ct", "path": "/x", "sha256": "ab"}]},
        created=datetime(2026, 3, 2, 12, 0),
    )


@pytest.fixture(scope="module")
def pictures(report: DoseReport) -> Pictures:
    return draw(report)


def test_html_is_whole_escaped_and_alone(report: DoseReport, pictures: Pictures) -> None:
    text = html_page(dose_document(report, pictures))
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!data:)""", text)
    assert not re.search(r"url\(", text)
    for wanted in (
        "Research software, not a medical device",
        "the activity is 30 % too high",
        "nearly reached",
        "⁹⁰Y glass",
    ):
        assert wanted in text
    assert text.count("data:image/png;base64,") == 3
    assert text.lstrip().startswith("<!DOCTYPE html>")


def test_pdf_says_what_it_must_on_every_page(report: DoseReport, pictures: Pictures) -> None:
    data = pdf_page(dose_document(report, pictures))
    assert data.startswith(b"%PDF")
    assert data == pdf_page(dose_document(report, pictures))  # the same report gives the same bytes
    pages = len(re.findall(rb"/Type /Page\b", data))
    assert pages >= 3


def test_pictures_are_drawn_on_oblique_grids(report: DoseReport, pictures: Pictures) -> None:
    from matplotlib.image import imread

    assert len(pictures.slices) == 1
    picture = imread(io.BytesIO(pictures.slices[0].png))
    assert picture.std() > 0.1
    comparison = png(comparison_figure(report.dose, report.dose.with_values(1.1 * report.dose.values), (0, 0, 0)))
    assert imread(io.BytesIO(comparison)).std() > 0.05


def test_a_plane_reads_the_patient_where_it_says(report: DoseReport) -> None:
    grid = report.dose.grid
    at = np.moveaxis(np.indices(grid.shape), 0, -1)
    linear = grid.to_mm(at) @ [1.0, 10.0, 100.0]
    middle = grid.to_mm((np.asarray(grid.shape) - 1) / 2)
    for view, right, down in (("axial", 0, 1), ("coronal", 0, 2), ("sagittal", 1, 2)):
        plane = Plane(view, middle, 40.0, 40.0, 2.0)  # type: ignore[arg-type]
        values = sample(linear, grid, plane, outside=np.nan)
        weights = np.array([1.0, 10.0, 100.0])
        sign = 1 if view == "axial" else -1  # rows of the other two run to the feet
        np.testing.assert_allclose(np.diff(values, axis=1), 2.0 * weights[right], rtol=1e-3)
        np.testing.assert_allclose(np.diff(values, axis=0), sign * 2.0 * weights[down], rtol=1e-3)
        assert values.mean() == pytest.approx(middle @ weights, rel=1e-4)
        x, y = plane.axes_mm()
        assert x.mean() == pytest.approx(middle[right])
        assert y.mean() == pytest.approx(sign * middle[down])


def test_outlines_have_the_right_size_and_place(report: DoseReport) -> None:
    lesion = report.lesions[0].region
    centre = centre_of(lesion)
    plane = framed("axial", centre, centre - 60, centre + 60, 100.0, 0.5)
    area = float((sample_region(lesion, plane) > 0.5).sum()) * 0.25
    # A ball of 14 mm in whole voxels of 4 x 5 x 6 mm: its section within a fifth.
    assert area == pytest.approx(np.pi * 14**2, rel=0.2)
    moved = framed("axial", centre, centre - 30, centre + 200, 100.0, 1.0)
    assert moved.centre_mm[0] == pytest.approx(centre[0] + 20)  # moved to show more of the box
    assert moved.centre_mm[2] == centre[2]  # never out of its plane


def test_tables(report: DoseReport) -> None:
    rows = list(csv.DictReader(io.StringIO(metrics_csv(report))))
    assert [row["structure"] for row in rows] == ["body", "liver", "tumour"]
    assert float(rows[2]["dose_mean_gy"]) == report.regions[2].dose.dose_mean_gy
    assert {"d95_percent_gy", "v50_gy_percent", "mass_g"} <= set(rows[0])
    curves = list(csv.reader(io.StringIO(dvh_csv(report, 1.0))))
    assert curves[0][0] == "dose_gy"
    assert [float(cell) for cell in curves[1][1:]] == [100, 100, 100]
    at_50 = next(row for row in curves[1:] if float(row[0]) == 50)
    assert float(at_50[3]) == pytest.approx(100 * report.regions[2].dose.dvh.v_gy(50), rel=1e-4)
    assert len(v_rows(report)) == 3


def test_spreadsheet_formulas_stay_text(report: DoseReport) -> None:
    item = report.regions[1]
    from dataclasses import replace

    named = ReportRegion(item.region, replace(item.dose, name="=1+1"), "liver")
    assert "\n'=1+1," in metrics_csv(DoseReport(dose=report.dose, regions=(named,)))


@pytest.mark.parametrize(
    ("comparison", "dose", "status", "verdict"),
    [
        ("<=", 20.0, "met", "kept"), ("<=", 29.0, "near", "nearly reached"), ("<=", 30.0, "near", "nearly reached"),
        ("<=", 30.1, "violated", "exceeded"), (">=", 40.0, "met", "reached"), (">=", 31.0, "near", "just reached"),
        (">=", 29.9, "violated", "missed"),
    ],
)  # fmt: skip
def test_limits(comparison: str, dose: float, status: str, verdict: str) -> None:
    row = LimitRow("lungs", comparison, 30.0, dose)
    assert (row.status, row.verdict) == (status, verdict)


def test_a_missed_limit_never_looks_equal() -> None:
    cells = limit_row(LimitRow("tumour", ">=", 260.0, 259.97))
    assert cells[1:4] == ["at least 260 Gy", "260.0 Gy", "missed"] or cells[2] == "259.97 Gy"
    assert limit_row(LimitRow("tumour", ">=", 260.0, 260.0))[2] == "260 Gy"


def test_limits_go_to_their_structures(report: DoseReport) -> None:
    limit = DoseLimit("a", "tumour", ">=", 205.0, "HCC", "somebody", "high")
    (row,) = limit_rows([limit, DoseLimit("b", "lung", "<=", 30.0, "", "x", "high")], report.regions)
    assert (row.structure, row.dose_mean_gy) == (NASTY, report.regions[2].dose.dose_mean_gy)


def test_styles_differ_and_levels_suit_the_dose(report: DoseReport) -> None:
    styles = structure_styles(["tumour"] * 20 + ["liver", "liver", "lung", "x", "y"])
    assert len(set(styles)) == len(styles)
    levels = isodose_levels_gy(report)
    assert 1 < len(levels) <= 5
    assert list(levels) == sorted(levels)
    assert levels[-1] < report.regions[2].dose.dose_max_gy


def test_what_is_refused(report: DoseReport) -> None:
    with pytest.raises(InputError, match="at least one"):
        DoseReport(dose=report.dose, regions=())
    with pytest.raises(InputError, match="same name"):
        DoseReport(dose=report.dose, regions=(report.regions[0], report.regions[0]))
    other = report.ct.with_values(report.ct.values) if report.ct else None
    assert other is not None
    elsewhere = Volume(other.grid.with_frame_of_reference("9.9"), other.values, Kind.HU)
    with pytest.raises(GeometryError, match="CT"):
        DoseReport(dose=report.dose, regions=report.regions, ct=elsewhere)


def test_report_without_ct_lesion_or_anything_else(report: DoseReport) -> None:
    bare = DoseReport(dose=report.dose, regions=report.regions[1:2])
    pictures = draw(bare)
    assert pictures.activity is None
    assert "Patient</h2>" not in html_page(dose_document(bare, pictures))
    assert pdf_page(dose_document(bare, pictures)).startswith(b"%PDF")


def test_files(report: DoseReport) -> None:
    files = report_files(report)
    assert set(files) >= {"report.html", "report.pdf", "metrics.csv", "dvh.csv", "dvh.png", "slices-1.png"}
    assert all(content.startswith(b"\x89PNG") for name, content in files.items() if name.endswith(".png"))
    assert all(files.values())


def test_provenance_is_flattened() -> None:
    rows = dict(
        provenance_rows({"software": "hepatica", "parameters": {"a_mm": 1.5}, "steps": ["first"], "tables": {}})
    )
    assert rows == {"Software": [("software", "hepatica")], "Parameters": [("a_mm", "1.5")], "Steps": [("1", "first")]}


def test_goals_of_other_diseases_fold_away(report: DoseReport) -> None:
    limits = [
        DoseLimit("a", "tumour", ">=", 205.0, "HCC", "somebody", "high", indications=("HCC",)),
        DoseLimit("a", "tumour", ">=", 189.0, "colorectal metastases", "somebody", "high", indications=("mCRC",)),
        DoseLimit("a", "tumour", ">=", 400.0, "segmentectomy", "somebody", "high", intents=("segmentectomy",)),
        DoseLimit("a", "tumour", "<=", 900.0, "any", "somebody", "high"),
    ]
    unknown = limit_rows(limits, report.regions)
    assert [row.applies for row in unknown] == [None, None, None, True]
    rows = limit_rows(limits, report.regions, indication="mCRC", intent="bilobar")
    assert [(row.limit_gy, row.applies) for row in rows] == [(189, True), (900, True), (205, False), (400, False)]
    table = agent_limits_table(rows, "glass")
    assert [row[2] for row in table.rows] == [">= 189", "<= 900"]
    assert "2 for other indications or intents not shown" in table.title
    document = dose_document(replace(report, limits=rows))
    html, paper = html_page(document), pdf_page(document)
    assert "<details>" in html
    assert html.index("<summary>2 for other indications or intents</summary>") < html.index("at least 205 Gy")
    assert paper.startswith(b"%PDF")
    assert "<details>" not in html_page(dose_document(replace(report, limits=unknown)))
    assert "not both are stated" in html_page(dose_document(replace(report, limits=unknown)))
