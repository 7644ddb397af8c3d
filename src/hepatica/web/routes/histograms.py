"""Dose-volume histograms of the steps, planned and delivered together, with what is known of their uncertainty."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from hepatica.anatomy.structures.roles import structure_of
from hepatica.case.layout import STEPS, folder_name
from hepatica.case.state import Situation
from hepatica.core.text.files import json_file
from hepatica.report.figures.palette import styles_by_name
from hepatica.report.tables import UNSUPPORTED
from hepatica.web.application import Workbench, workbench_of

router = APIRouter()
Bench = Annotated[Workbench, Depends(workbench_of)]

ENDING = " volume_percent"
SOURCES = (("plan", "planned", "planned-dvh.csv"), ("dose", "delivered", "dvh.csv"))
NORMAL = {"liver minus tumours": "normal liver", "perfused minus tumours": "normal liver in perfused volume"}
"""What the delivered dose calls a structure -> what the plan calls it."""


@router.get("/cases/{key}/histograms/{treatment}")
def histograms(key: str, treatment: int, bench: Bench) -> dict[str, Any]:
    """Curves of planned and delivered dose by structure; those of a step that is not done are not given."""
    situation = bench.desk[key].situation()
    found: dict[str, dict[str, Any]] = {}
    sources = []
    for step, said, file in SOURCES:
        name = folder_name(step, treatment)
        state = situation.steps.get(name)
        path = situation.folder / STEPS / name / file
        if state is None or name not in situation.records or not path.is_file():
            continue
        sources.append({"what": said, "step": name, "state": state.state, "image": _image(step, name)})
        if state.state != "done":
            continue
        numbers = _numbers(situation, name, step)
        for structure, curve in _curves(path).items():
            called = NORMAL.get(structure, structure)
            entry = found.setdefault(called, {"name": called, "drawn": structure})
            entry[said] = curve | numbers.get(structure, {})
            if said == "delivered":
                entry["drawn"] = structure
    styles = styles_by_name({one["drawn"]: structure_of(one["drawn"]).value for one in found.values()})
    for one in found.values():
        one["colour"] = styles[one["drawn"]].colour
    return {"sources": sources, "structures": list(found.values())}


def _image(step: str, name: str) -> str:
    return f"{name}:{'planned-dose.nii.gz' if step == 'plan' else 'dose.dcm'}"


def _curves(path: Path) -> Mapping[str, dict[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        heads, *rows = list(csv.reader(stream))
    columns = list(zip(*rows, strict=True))
    doses = [float(cell or 0) for cell in columns[0]]
    return {
        head.removesuffix(ENDING).removesuffix(UNSUPPORTED): {
            "dose_gy": doses,
            "volume_percent": [float(cell or 0) for cell in column],
        }
        for head, column in zip(heads[1:], columns[1:], strict=True)
    }


def _numbers(situation: Situation, name: str, step: str) -> Mapping[str, dict[str, Any]]:
    """Of each structure: role, volume, mean, and the relative standard uncertainty of its dose where it is known."""
    content = json_file(situation.folder / STEPS / name / "result.json")
    rows = content["structures"] if step == "dose" else (content.get("voxel_plan") or {}).get("structures", [])
    found = {}
    for row in rows:
        mean, known = row.get("dose_mean_gy"), row.get("dose_mean_known_sd_gy")
        found[row["name"]] = {
            "role": row.get("role", ""),
            "volume_ml": row.get("volume_ml"),
            "mean_gy": mean,
            "known_sd_gy": known,
            "relative_sd": known / mean if known and mean else None,
            "not_known": (row.get("uncertainty") or {}).get("not_known", []),
            "voxels_supported": row.get("voxels_supported", True),
            "d_percent_gy": row.get("d_percent_gy", {}),
            "v_gy_percent": row.get("v_gy_percent", {}),
        }
    return found
