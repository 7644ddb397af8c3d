"""A whole small patient: CT, PET, SPECT, structures and a dose map, read by the verbs that use them together."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing import stages
from fuzzing.case import Answer, Seed, Stage
from fuzzing.seeds import written

SCANNED = datetime(2026, 3, 2, 14)
GIVEN = datetime(2026, 3, 2, 10)


def patient_seeds() -> Iterator[Seed]:
    """One patient."""
    yield Seed("patient", written(_write), _stages(), "dicom", named=True)


def _write(folder: Path) -> None:
    from hepatica.core import Grid, Kind, Region, Volume
    from hepatica.core.context import DicomContext
    from hepatica.io.dicom.images.write import Emission, write_ct, write_nm, write_pet
    from hepatica.io.dicom.rtdose import write_rtdose
    from hepatica.io.dicom.structures.rtstruct import write_rtstruct

    context = DicomContext.invented(slices=4, patient_id="P1", when=GIVEN)
    grid = Grid.axial((8, 7, 4), spacing_mm=(8, 8, 8), frame_of_reference=context.frame_of_reference)
    liver, tumour, lungs = (np.zeros(grid.shape, dtype=bool) for _ in range(3))
    liver[1:6, 1:6, :2], tumour[2:4, 2:4, :1], lungs[1:6, 1:6, 3:] = True, True, True
    hu = np.where(lungs, -700.0, 40.0)
    activity = np.where(tumour, 4e6, np.where(liver, 1e6, np.where(lungs, 2e4, 0.0)))
    emission = Emission("Y-90", SCANNED, 1200.0, administered_bq=2e9, administered_at=GIVEN)
    made = write_ct(folder / "ct", Volume(grid, hu, Kind.HU), context)
    write_pet(folder / "pet", Volume(grid, activity, Kind.ACTIVITY_CONCENTRATION, SCANNED), context, emission)
    scout = Emission("Tc-99m", SCANNED, 20.0, administered_bq=1.5e8, administered_at=GIVEN)
    write_nm(folder / "spect.dcm", Volume(grid, activity / 1e4, Kind.COUNTS, SCANNED), context, scout)
    named = {"Liver": liver, "Tumour": tumour, "Lungs": lungs}
    regions = [Region.from_coverage(name, grid, where.astype(float)) for name, where in named.items()]
    write_rtstruct(folder / "structures.dcm", regions, made, image_grid=grid)
    write_rtdose(folder / "dose.dcm", Volume(grid, activity / 1e5, Kind.DOSE), made)


def _stages() -> dict[str, Stage]:
    import hepatica

    def verb(name: str, *paths: str, **given: Any) -> Stage:
        def run(folder: Path) -> Answer:
            known = {key: folder / value for key, value in given.items() if key in _PATHS}
            return stages.of_result(getattr(hepatica, name)(*(folder / p for p in paths), **given | known))

        return run

    structures = {"structures": "structures.dcm"}
    scout = hepatica.ScoutOptions(registered=True)
    counts = hepatica.QuantificationOptions(administered_bq=1.5e8, administered_at=GIVEN)
    return {
        "dose": verb("absorbed_dose", "pet", ct="ct", nuclide="Y-90", engine="local", **structures),
        "quantify": verb("quantify", "spect.dcm", nuclide="Tc-99m", quantification=counts, **structures),
        "lsf": verb("lung_shunt", "spect.dcm", reading=scout, **structures),
        "tn": verb("tumour_to_normal", "spect.dcm", reading=scout, **structures),
        "radiobiology": verb("radiobiology", dose_map="dose.dcm", **structures),
        "compare": verb("compare_doses", "dose.dcm", "dose.dcm", **structures),
    }


_PATHS = ("ct", "structures", "dose_map")
