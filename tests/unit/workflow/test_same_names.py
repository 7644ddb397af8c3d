"""Two structures of one name are refused by every verb, never one of them dropped."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.core.image import Image
from hepatica.errors import InputError
from hepatica.workflow.dose.comparison import compare_doses
from hepatica.workflow.dose.quantify import quantify
from hepatica.workflow.dose.radiobiology import radiobiology
from hepatica.workflow.outcome.segmented import segmented_response
from hepatica.workflow.planning.concordance import scout_concordance
from hepatica.workflow.planning.lung_shunt import lung_shunt
from hepatica.workflow.planning.tumour_to_normal import tumour_to_normal

GRID = Grid.axial((12, 10, 8), spacing_mm=(10, 10, 10))
COUNTS = Image.from_array(np.ones(GRID.shape), unit="counts", grid=GRID)
ACTIVITY = Image.from_array(np.ones(GRID.shape), unit="Bq/mL", grid=GRID)
DOSE = Volume(GRID, np.linspace(1, 100, GRID.size).reshape(GRID.shape), Kind.DOSE)


def box(name: str, i: slice, k: slice) -> Region:
    coverage = np.zeros(GRID.shape)
    coverage[i, 2:8, k] = 1
    return Region.from_coverage(name, GRID, coverage)


LUNGS = box("lungs", slice(1, 11), slice(5, 7))
LIVER = box("liver", slice(1, 11), slice(0, 5))
TINY = box("liver", slice(1, 2), slice(0, 1))
TUMOURS = [box("tumour", slice(1, 2), slice(0, 1)), box("tumour", slice(5, 6), slice(0, 1))]


@pytest.mark.parametrize(
    "call",
    [
        lambda: lung_shunt(COUNTS, structures=[LUNGS, LIVER, TINY]),
        lambda: tumour_to_normal(COUNTS, structures=[LIVER, *TUMOURS]),
        lambda: scout_concordance(DOSE, DOSE, structures=[LIVER, *TUMOURS]),
        lambda: compare_doses(DOSE, DOSE, structures=[LIVER, TINY]),
        lambda: radiobiology(dose_map=DOSE, structures=[LIVER, TINY]),
        lambda: segmented_response(TUMOURS, [LIVER]),
        lambda: quantify(ACTIVITY, nuclide="Y-90", structures=[LIVER, TINY]),
    ],
)
def test_two_structures_of_one_name_are_refused(call: Callable[[], Any]) -> None:
    with pytest.raises(InputError, match=r"two structures have the same name: (liver|tumour); rename one"):
        call()


def test_structures_of_different_names_are_taken() -> None:
    assert lung_shunt(COUNTS, structures=[LUNGS, LIVER]).shunt.lung_shunt.value == pytest.approx(2 / 7)
