"""Whether the activity went where the plan had it: a liver of two lobes, with each way to be wrong."""

import numpy as np
import pytest

from hepatica.anatomy.structures.drawn import DrawnStructures
from hepatica.anatomy.structures.roles import identified
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.errors import GeometryError
from hepatica.planning.delivery.concordance import about_catheter, about_total, compared_maps
from hepatica.planning.delivery.placement import held_when_moved, part_shares

GRID = Grid.axial((50, 40, 34), spacing_mm=(5, 5, 5), origin_mm=(0, 0, 0))
X, Y, Z = np.indices(GRID.shape) * 5.0


def ball(x: float, y: float, z: float, radius_mm: float) -> np.ndarray:
    return (X - x) ** 2 + (Y - y) ** 2 + (Z - z) ** 2 <= radius_mm**2


LIVER = ((X - 120) / 95) ** 2 + ((Y - 100) / 75) ** 2 + ((Z - 80) / 65) ** 2 <= 1
RIGHT, LEFT = LIVER & (X < 130), LIVER & (X >= 130)
FIRST, SECOND = ball(80, 100, 80, 20), ball(180, 100, 80, 16)
LOBAR = np.where(RIGHT, 40.0, 1.0) * LIVER + 160.0 * FIRST
"""A treatment of the right lobe, whose tumour takes up five times as much."""


def dose(values: np.ndarray) -> Volume:
    return Volume(GRID, values.astype(np.float32), Kind.DOSE)


def drawn(*names: str) -> DrawnStructures:
    masks = {"liver": LIVER, "right lobe": RIGHT, "left lobe": LEFT, "Tumour 1": FIRST, "Tumour 2": SECOND}
    regions = {name: Region.from_coverage(name, GRID, masks[name]) for name in names}
    return DrawnStructures(regions, identified(list(regions.values())).roles)


WRONG = np.where(LEFT, 55.0, 1.0) * LIVER + 150.0 * SECOND
LOBES = ("liver", "right lobe", "left lobe", "Tumour 1", "Tumour 2")


@pytest.mark.parametrize("names", [LOBES, ("liver", "Tumour 1", "Tumour 2")])
def test_the_other_lobe_is_seen_with_lobes_and_without(names: tuple[str, ...]) -> None:
    found = compared_maps(dose(LOBAR), dose(WRONG), drawn(*names), isodose_gy=None)
    c = found.concordance
    assert c.catheter_position_changed
    assert [row.verdict for row in c.structures[:2]] == ["lost", "not planned, treated"]
    assert all(part.differs for part in c.parts)
    assert sum(part.planned_share for part in c.parts) == pytest.approx(1, abs=1e-6)
    (message,) = about_catheter(c)
    assert message.code == "catheter-position"
    assert message.severity == "critical"
    assert "lesion 'Tumour 1' was planned to get 200 Gy and got 1 Gy" in message.text
    assert "fell from" in message.text
    assert "rose from" in message.text
    assert "lesion-not-planned" in {m.code for m in found.messages}


def test_a_lost_lesion_is_seen_though_the_shares_are_kept() -> None:
    """The verdict that clinics were not given: tumour -100 % and no sign of another place."""
    small = ball(80, 130, 80, 7)
    planned = np.where(RIGHT, 40.0, 1.0) * LIVER + 160.0 * (FIRST | small)
    delivered = np.where(small, 0.0, np.where(RIGHT, 40.0, 1.0) * LIVER + 160.0 * FIRST)
    structures = drawn(*LOBES)
    regions = {**structures.regions, "Tumour 3": Region.from_coverage("Tumour 3", GRID, small)}
    roles = identified(list(regions.values())).roles
    found = compared_maps(dose(planned), dose(delivered), DrawnStructures(regions, roles), isodose_gy=None).concordance
    assert not any(part.differs for part in found.parts)
    lost = next(row for row in found.structures if row.name == "Tumour 3")
    assert (lost.verdict, lost.relative_difference) == ("lost", pytest.approx(-1))
    assert found.catheter_position_changed
    assert len(found.signs) == 1


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.1])
def test_a_treatment_as_planned_shows_no_sign(factor: float) -> None:
    moved = np.roll(LOBAR, 1, axis=1) * factor
    found = compared_maps(dose(LOBAR), dose(moved), drawn(*LOBES), isodose_gy=None).concordance
    assert found.catheter_position_changed is False
    assert found.structures[0].verdict == "as planned"
    (message,) = about_catheter(found)
    assert (message.code, message.severity) == ("catheter-position-kept", "note")
    assert message.text.startswith("no sign that the catheter was elsewhere: no lesion lost of 1;")
    assert "right lobe" in message.text


def test_less_and_more_are_told_from_uncertainty() -> None:
    for factor, verdict in ((0.3, "less"), (2.5, "more"), (0.85, "as planned")):
        found = compared_maps(dose(LOBAR), dose(LOBAR * factor), drawn("liver", "Tumour 1"), isodose_gy=None)
        assert found.concordance.structures[0].verdict == verdict


def test_without_liver_and_territories_nothing_is_claimed() -> None:
    found = compared_maps(dose(LOBAR), dose(LOBAR), drawn("Tumour 1"), isodose_gy=None).concordance
    assert found.catheter_position_changed is None
    (message,) = about_catheter(found)
    assert message.code == "catheter-not-judged"


def test_a_lesion_outside_a_map_or_the_plan_does_not_stop_the_rest() -> None:
    cut = GRID.crop((slice(0, 34), slice(0, 40), slice(0, 34)))
    short = Volume(cut, LOBAR[:34].astype(np.float32), Kind.DOSE)
    found = compared_maps(dose(LOBAR), short, drawn("Tumour 1", "Tumour 2"), isodose_gy=None)
    assert [row.name for row in found.concordance.structures] == ["Tumour 1"]
    assert "'Tumour 2'" in next(m.text for m in found.messages if m.code == "lesion-outside-map")
    with pytest.raises(GeometryError, match=r"'normal liver'.*outside the delivered dose map"):
        compared_maps(dose(LOBAR), short, drawn("liver", "Tumour 1", "Tumour 2"), isodose_gy=None)
    nothing = np.where(SECOND, 0.0, LOBAR)
    found = compared_maps(dose(nothing), dose(nothing), drawn("liver", "Tumour 1", "Tumour 2"), isodose_gy=None)
    row = found.concordance.structures[1]
    assert (row.verdict, row.relative_difference) == ("not planned", None)


def test_false_alarms_are_as_rare_as_stated() -> None:
    """Two maps of one treatment, each out of place by 5 mm (1 SD) along each axis: at most 5 % are called different.

    200 pairs; of a binomial with p = 0.05 more than 19 have a probability of 0.3 %.
    """
    from scipy import ndimage

    rng = np.random.default_rng(7)
    values = ndimage.gaussian_filter(LOBAR, 5 / 2.355 * 2)
    parts = [Region.from_coverage(name, GRID, mask) for name, mask in (("right", RIGHT), ("left", LEFT))]
    whole = Region.from_coverage("liver", GRID, LIVER)

    def held() -> np.ndarray:
        shifted = ndimage.shift(values, rng.normal(0, 1, 3), order=1, mode="nearest")
        return held_when_moved(dose(shifted), [whole, *parts], 5.0)

    maps = [held() for _ in range(40)]
    pairs = [(int(a), int(b)) for a, b in (rng.choice(40, 2, replace=False) for _ in range(200))]
    alarms = sum(any(part.differs for part in part_shares(parts, maps[a], maps[b])) for a, b in pairs)
    assert alarms <= 19


@pytest.mark.parametrize(("factor", "verdict"), [(0.1, "lost"), (0.5, "less"), (1.78, "more"), (2.0, "more")])
def test_another_activity_is_said_of_the_total_and_no_sign_of_another_place(factor: float, verdict: str) -> None:
    found = compared_maps(dose(LOBAR), dose(LOBAR * factor), drawn(*LOBES), isodose_gy=None).concordance
    row = found.structures[0]
    assert (row.verdict, row.verdict_by_share) == (verdict, "as planned")
    assert found.total_ratio == pytest.approx(factor, rel=1e-4)
    assert found.catheter_position_changed is False
    (message,) = about_total(found)
    assert message.code == "total-activity-differs"
    assert message.severity == ("warning" if factor == 1.78 else "critical")


def test_a_lobe_outside_the_label_of_the_liver_belongs_to_the_whole() -> None:
    """A label map: what is a lobe is no liver."""
    masks = {"liver": LIVER & ~LEFT, "left lobe": LEFT & ~SECOND, "Tumour 1": FIRST}
    regions = {name: Region.from_coverage(name, GRID, mask) for name, mask in masks.items()}
    structures = DrawnStructures(regions, identified(list(regions.values())).roles)
    found = compared_maps(dose(LOBAR), dose(LOBAR), structures, isodose_gy=None).concordance
    assert sum(part.planned_share for part in found.parts) == pytest.approx(1, abs=1e-6)
