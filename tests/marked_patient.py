"""A patient whose files are marked, so that whatever is left of its identity is found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pydicom

from identifying import NAME, PATIENT_ID, SHIFT, STEM, STRUCTURE_WORD

DAY = date(2026, 3, 3) + SHIFT
"""Of the marked patient's examinations; laboratory tests and the like were days before or after."""


@dataclass(frozen=True)
class Case:
    """Files of the marked patient."""

    root: Path
    ct: Path
    emission: Path
    rtstruct: Path
    seg: Path
    dose: Path

    @property
    def projections(self) -> Path:
        return self.root / "OTTOKAR_projections.dcm"

    @property
    def spect(self) -> Path:
        return self.root / "OTTOKAR_spect.dcm"

    @property
    def coincidences(self) -> Path:
        return self.root / "OTTOKAR_coincidences.npz"

    @property
    def mr(self) -> Path:
        return self.root / "OTTOKAR_mr"

    def table(self, name: str) -> Path:
        return self.root / f"{STEM} {name}.csv"


def name_in_a_structure(path: Path) -> None:
    dataset = pydicom.dcmread(path)
    for item in dataset.StructureSetROISequence:
        if "tumour" in item.ROIName.lower():
            item.ROIName = f"{item.ROIName} {STRUCTURE_WORD}"
    dataset.save_as(path)


def write_tables(root: Path) -> None:
    """Tables of the marked patient and another, with dates."""
    days = [DAY + timedelta(days=n) for n in (0, 60, 120)]
    who = PATIENT_ID
    tables = {
        "measurements": "patient,lesion,date,diameter_mm,viable_mm,new\n"
        + "".join(f"{who},1,{day},{50 - n * 10},{50 - n * 10},\n" for n, day in enumerate(days)),
        "lipiodol": f"patient,lesion,date,retained_ml,tumour_ml\n{who},1,{days[0]},12,20\n",
        "remnant": f"patient,date,remnant_ml,liver_ml,tumour_ml\n{who},{days[0]},400,1800,200\n{who},{days[1]},520,,\n",
        "labs": "patient,date,bilirubin_umol_l,albumin_g_l,inr,ascites,encephalopathy,creatinine_mg_dl,sodium_mmol_l,"
        f"treated,progression,alt_u_l,alt_uln_u_l\n{who},{days[0]},17.1,40,1.1,none,none,0.9,139,{days[0]},0,30,40\n",
        "course": f"date,territory,nuclide,normal_gy,lung_gy\n{days[0]},right,Y-90,30,12\n",
        "patients": "patient,dose_gy,os_months,dead\n"
        + "".join(f"{who}{n},{100 + 9 * n},{3 + n % 7},{n % 3 != 0:d}\n" for n in range(24)),
        "lesions": "patient,tumour_gy,cr\n"
        + "".join(f"{who}{n},{60 + 15 * n},{(n > 9) ^ (n % 5 == 0):d}\n" for n in range(24)),
        "pairs": "patient,scout_gy,therapy_gy\n"
        + "".join(f"{who}{n},{100 + 9 * n},{104 + 9 * n + n % 3}\n" for n in range(12)),
        "readings": "patient,spect,deposition\n" + "".join(f"{who}{n},{n % 2},{n % 3 == 0:d}\n" for n in range(24)),
    }
    for name, text in tables.items():
        (root / f"{STEM} {name}.csv").write_text(text)
    plan = (Path(__file__).parents[1] / "docs" / "examples" / "plan.toml").read_text()
    title = f'title = "{NAME.replace("^", " ")}, right lobe"'
    (root / f"{STEM} plan.toml").write_text(plan.replace('title = "right lobe, HCC"', title))


def instant(hour: int, day: date = DAY) -> datetime:
    return datetime.fromisoformat(f"{day}T{hour:02d}:00+01:00")


def numbers(value: Any) -> list[float]:
    """Every number of a document in its order, to the last bit."""
    if isinstance(value, dict):
        return [number for item in value.values() for number in numbers(item)]
    if isinstance(value, list):
        return [number for item in value for number in numbers(item)]
    return [value] if isinstance(value, int | float) else []
