"""Seeds that are text or tables: plans, options, cohorts, readings of vials, calibrations, results, checkpoints."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing import stages
from fuzzing.case import Seed, Stage

EXAMPLES = Path(__file__).resolve().parents[3] / "docs" / "examples"
AT = "2026-03-12T10:00+01:00"


def text_seeds() -> Iterator[Seed]:
    """CSV, TOML, JSON, workbooks and NumPy archives."""
    yield from _tables()
    yield from _plans()
    yield from _options()
    yield from _calibrations()
    yield from _archives()
    yield from _injections()


def _injections() -> Iterator[Seed]:
    """A watched injection of two regions in a frame of 4 x 3 pixels: setup, readings, a folder of frames."""
    from hepatica.core.context import DicomContext
    from hepatica.io.dicom.images.dynamic import write_dynamic
    from hepatica.io.dicom.images.write import Emission
    from hepatica.monitoring.prepared import Prepared
    from hepatica.monitoring.setup import Setup
    from hepatica.monitoring.simulation.flow import FlowSettings

    response = np.array([[4e-5, 5e-6], [4e-6, 4e-5]])
    setup = Setup(
        ("target", "outside"), ("target", "outside"), response, np.full(2, 5.0), 21636.0, 150e6, 60.0,
        np.array([0.9, 0.1]), goal_bq=100e6, limits_bq={"outside": 50e6},
    )  # fmt: skip
    mask = np.array([[0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 1, 1]])
    start = datetime.fromisoformat(AT)
    context = DicomContext.invented(patient_id="F1", patient_name="Fuzz^One", when=start)
    random = np.random.default_rng(3)
    frames = random.poisson(np.arange(1, 5)[:, None, None] * np.where(mask == 0, 60.0, 8.0))
    folder: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as name:
        for n in (0, 2):
            made = Path(name) / f"{n}.dcm"
            emission = Emission("Tc-99m", start + timedelta(seconds=n / 2), 0.5)
            write_dynamic(made, frames[n : n + 2], context, emission, pixel_mm=4.0, number=n + 1)
            folder[f"frames/{n}.dcm"] = made.read_bytes()
    rows = [f"vial,{n / 2 - 6},{1000 - 5 * max(n - 12, 0)}" for n in range(18)]
    readings = "\n".join(["kind,time_s,value", *rows, "pushed,1.0,0.1", "line,1.5,12", ""])
    prepared = Prepared(setup, mask, 4.0, "Tc-99m", "maa", FlowSettings())
    files = {
        **folder, "setup.json": json.dumps(prepared.as_document()).encode(), "readings.csv": readings.encode(),
    }  # fmt: skip
    for target, damage in (("setup.json", "json"), ("readings.csv", "csv"), ("frames/0.dcm", "dicom")):
        yield Seed("injection", files, {"monitor": stages.monitored()}, damage, target, named=True)


def _verbs() -> dict[str, dict[str, Any]]:
    import hepatica

    coming = hepatica.NextTreatment(
        next_at=datetime(2026, 6, 1, 10),
        normal_dose_gy_per_gbq=15.0,
        tumour_dose_gy_per_gbq=60.0,
        lung_dose_gy_per_gbq=2.0,
    )
    return {
        "course": {"verb": "remaining_tolerance", "coming": coming, "tolerance_bed_gy": 93.0, "territory": "right"},
        "deposition": {"verb": "diagnostic_accuracy", "test": "spect", "truth": "deposition", "patient_ids": "patient"},
        "labs": {"verb": "liver_function"},
        "lesions": {
            "verb": "dose_response", "doses": "tumour_gy", "responders": "cr", "patient_ids": "patient",
            "fit": hepatica.CurveOptions(samples=20),
        },
        "lipiodol": {"verb": "lipiodol_retention"},
        "measurements": {"verb": "tumour_response"},
        "pairs": {"verb": "measurement_agreement", "first": "scout_gy", "second": "therapy_gy"},
        "patients": {
            "verb": "survival", "time": "os_months", "event": "dead", "by": "dose_gy>=205",
            "models": hepatica.SurvivalModels(covariates=("dose_gy", "albi")),
        },
        "remnant": {"verb": "remnant_growth"},
    }  # fmt: skip


def _tables() -> Iterator[Seed]:
    for name, given in _verbs().items():
        text = (EXAMPLES / f"{name}.csv").read_bytes()
        verb = given.pop("verb")
        for suffix, content, damage in (("csv", text, "csv"), ("xlsx", _workbook(text), "zip")):
            target = f"{name}.{suffix}"
            read: dict[str, Stage] = {verb: stages.called(verb, target, **given)}
            yield Seed(suffix, {target: content}, read, damage, target)
    content = b"# of our scanner\nhu,density_g_ml\n-1000,0.001\n0,1.0\n100,1.08\n1500,1.85\n"
    read = {"hu_table": stages.loaded("transport.matter.media", "load_calibration", "hu.csv")}
    yield Seed("csv", {"hu.csv": content}, read, "csv", "hu.csv")


def _workbook(text: bytes) -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in text.decode().splitlines():
        sheet.append([_cell(cell) for cell in row.split(",")])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _cell(text: str) -> Any:
    for form in (float, datetime.fromisoformat):
        try:
            return form(text)
        except ValueError:
            continue
    return text


def _plans() -> Iterator[Seed]:
    from hepatica.planning.planner.plan_file import TEMPLATE

    for text in ((EXAMPLES / "plan.toml").read_text(), TEMPLATE):
        read = {
            "plan": stages.called("plan", "plan.toml"),
            "command": stages.command("plan", "FILE", target="plan.toml"),
        }
        yield Seed("toml", {"plan.toml": text.encode()}, read, "toml", "plan.toml")
    allowance = {
        "territory": "right lobe", "normal_gy": 40.0, "lung_gy": 20.0, "lung_so_far_gy": 5.0, "delivered_bed_gy": 30.0,
        "tolerance_bed_gy": 93.0, "nuclide": "Y-90", "treatments": 1, "cautions": ["a caution"],
    }  # fmt: skip
    plan = (EXAMPLES / "plan.toml").read_text() + '\n[course]\nremaining_tolerance = ["a.json"]\n'
    files = {"a.json": json.dumps({"schema": "x", "for_plan": allowance}).encode(), "plan.toml": plan.encode()}
    yield Seed("json", files, {"plan": stages.called("plan", "plan.toml")}, "json", "a.json")


def _options() -> Iterator[Seed]:
    """Files for --options, and one with sentences of a patient sheet."""
    files = {
        "delivered-activity": "\n".join(
            [
                'nuclide = "Y-90"', 'planned = "3 GBq"', 'agent = "glass"', 'vial = ["3 GBq"]',
                f'calibrated-at = ["{AT}"]',
                'reading-before = ["1200 uSv/h"]', 'reading-before-at = ["2026-03-12T09:00+01:00"]',
                'reading-after = ["20 uSv/h"]', 'reading-after-at = ["2026-03-12T11:00+01:00"]',
                f'administered-at = ["{AT}"]', 'perfused-mass = "1.2 kg"', "",
            ]
        ),
        "order-vial": f'agent = "glass"\nplanned = "2.4 GBq"\nadministered-at = "{AT}"\n',
        "elute-generator": 'parent = "20 GBq"\ncalibrated-at = "2026-03-02T08:00Z"\neluted-at = ["2026-03-02T08:00Z", '
        '"2026-03-04T00:00Z"]\nefficiency = 0.8\n',
        "prescribe": 'method = "mird"\nagent = "glass"\nmass = "1.5 kg"\ndose = "120 Gy"\nlung-shunt = "5 %"\n',
        "compare-agents": 'agents = ["glass", "resin", "Ho-166"]\nnormal-mass = "1.3 kg"\ntumour-mass = ["200 g"]\n'
        'tumour-to-normal = [4]\nnormal-dose = "40 Gy"\n',
        "release": f'nuclide = "Y-90"\nadministered = "3 GBq"\nadministered-at = "{AT}"\npatient = "A B"\n[contact]\n'
        'patterns = "cormack-shearer"\n',
        "lsf": 'lung-counts = [1000, 900]\nliver-counts = [20000, 18000]\nplanned = "2.6 GBq"\n',
    }  # fmt: skip
    for verb, text in files.items():
        read = {verb: stages.command(verb, "--options", "FILE", "--json", target="o.toml")}
        yield Seed("options", {"o.toml": text.encode()}, read, "toml", "o.toml")
    sheet = Path(__file__).resolve().parents[3] / "src/hepatica/safety/tables/sheet_en.toml"
    asked = ("release", "Y-90", "3 GBq", "--language", "FILE", "--json")
    given = {
        "sheet": stages.loaded("safety.sheet", "sheet_texts", "de.toml"),
        "release": stages.command(*asked, target="de.toml"),
    }
    yield Seed("options", {"de.toml": sheet.read_bytes()}, given, "toml", "de.toml")


def _calibrations() -> Iterator[Seed]:
    from hepatica.core import Estimate
    from hepatica.core.document import document
    from hepatica.imaging.quantify.acquisition_conditions import Conditions
    from hepatica.imaging.quantify.camera_factor import CameraCalibration, Component
    from hepatica.imaging.quantify.recovery import SphereRecovery, fit_recovery

    conditions = Conditions(
        "Lu-177", "siemens-megp", (187.0, 229.0), (4.8, 4.8, 4.8), {"method": "osem", "iterations": 4}
    )
    budget = (Component("counts", 0.01, "Poisson"), Component("activity", 0.02, "stated"))
    factor = CameraCalibration(Estimate(10.0, 0.3), "cylinder", conditions, budget, datetime(2026, 3, 2, 10), 200.0)
    volumes = (0.52, 1.15, 2.57, 5.58, 11.5, 26.5)
    curve = fit_recovery([SphereRecovery(v, Estimate(1 / (1 + (5 / v) ** 0.8), 0.01)) for v in volumes], conditions)
    for name, value in (("load_calibration", factor), ("load_recovery", curve)):
        for suffix in ("json", "toml"):
            target = f"a.{suffix}"
            read = {name: stages.loaded("io.calibration_files", name, target)}
            content = json.dumps(document(value)) if suffix == "json" else _toml(document(value))
            yield Seed(suffix, {target: content.encode()}, read, suffix, target)


def _toml(content: Any) -> str:
    """A document as TOML on one level: tables in line."""

    def value(item: Any) -> str:
        if isinstance(item, dict):
            return "{" + ", ".join(f"{json.dumps(key)} = {value(v)}" for key, v in item.items() if v is not None) + "}"
        if isinstance(item, list | tuple):
            return "[" + ", ".join(map(value, item)) + "]"
        return json.dumps(item)

    return "".join(f"{json.dumps(key)} = {value(item)}\n" for key, item in content.items() if item is not None)


def _archives() -> Iterator[Seed]:
    """NumPy archives: replicates and a checkpoint of a reconstruction."""
    from hepatica.core import Grid

    grid = Grid.axial((5, 4, 3), spacing_mm=(2, 2, 2))
    images = np.random.default_rng(1).uniform(0, 1, (3, *grid.shape)).astype(np.float32)
    out = io.BytesIO()
    np.savez_compressed(out, images=images, affine=grid.affine, seed=np.int64(1))
    read: dict[str, Stage] = {"replicates": stages.loaded("io.replicates", "load_replicates", "a.npz", grid)}
    yield Seed("npz", {"a.npz": out.getvalue()}, read, "zip", "a.npz")
    out = io.BytesIO()
    np.savez(out, additive=images[0], pixel_mm=(2.0, 2.0), key="abc", image=images[0], iterations=3)
    read = {"checkpoint": stages.checkpoint("a.npz", "abc")}
    yield Seed("npz", {"a.npz": out.getvalue()}, read, "zip", "a.npz")
