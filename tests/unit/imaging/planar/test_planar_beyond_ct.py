"""Views that show more than the CT: lungs beyond its end, arms beside its field."""

import numpy as np

from hepatica.anatomy.segmentation.body_and_lungs.body import body_region
from hepatica.core import Grid, Kind, Region, Volume
from hepatica.imaging.planar.measure import Measured, ct_model, measure_on_ct
from hepatica.imaging.planar.options import PlanarUncertaintyOptions
from hepatica.imaging.planar.organs import organs_of
from hepatica.imaging.planar.whole_body import CUT, OUTSIDE
from planar_makers import HELD, PIXEL, ROLES, BoxPatient, box_patient, even_rates


def cropped(patient: BoxPatient, rows: int) -> tuple[Volume, dict[str, Region]]:
    """CT and structures without their topmost rows."""
    hu = patient.ct.volume
    shape = (*hu.grid.shape[:2], rows)
    grid = Grid.axial(shape, spacing_mm=hu.grid.spacing_mm, origin_mm=tuple(hu.grid.to_mm((0, 0, 0))))
    regions = {r.name: Region.from_coverage(r.name, grid, r.full()[:, :, :rows]) for r in patient.regions}
    return Volume(grid, hu.values[:, :, :rows], Kind.HU), regions


def views(patient: BoxPatient) -> np.ndarray:
    """What both heads count per second of `HELD` on the whole CT."""
    hu, regions = cropped(patient, 56)
    body = regions.pop("body")
    model = ct_model(hu, body, regions, ROLES, energy_kev=364.5, pixel_mm=PIXEL, mu_scale=1.0)
    plain = model.body.projected(fwhm_mm=12.0)
    return np.asarray(np.einsum("k,kvxz->vxz", [HELD[name] for name in plain.names], plain.templates))


def measured(hu: Volume, regions: dict[str, Region], net: np.ndarray) -> Measured:
    own = dict(regions)
    body = own.pop("body")
    model = ct_model(hu, body, own, ROLES, energy_kev=364.5, pixel_mm=PIXEL, mu_scale=1.0)
    return measure_on_ct(even_rates(net), model, place_mm=None, offset_mm=None, fwhm_mm=12.0,
                         uncertainty=PlanarUncertaintyOptions())  # fmt: skip


def test_lungs_that_the_ct_cuts_off_go_on_beyond_it() -> None:
    """Of 120 of 1000 in the lungs (0 to 130 mm) a CT that ends at 66 mm shows half; the rest is counted above it."""
    patient = box_patient()
    net = views(patient)
    found = measured(*cropped(patient, 39), net)
    organs = {o.name: o for o in organs_of(found.rates, found.roles, found.whole)}
    low, high = organs["lungs"].share_95
    assert low < 0.12 < high
    assert high - low > 0.05
    assert organs["lungs"].components[CUT] > 0.01
    shunt = found.shunt()
    assert shunt is not None
    assert shunt[1][0] < 120 / 820 < shunt[1][1]
    assert found.shunt_uncorrected() is None
    assert {m.code: m.severity for m in found.messages}["structure-cut-by-ct"] == "critical"
    # Views that end with the CT show nothing of what is beyond: there is no shunt.
    short = measured(*cropped(patient, 39), net[:, :, 17:])
    assert short.shunt() is None
    assert "there is no lung shunt" in next(m.text for m in short.messages if m.code == "structure-cut-by-ct")
    whole = measured(*cropped(patient, 56), net)
    assert "structure-cut-by-ct" not in {m.code for m in whole.messages}
    assert CUT not in whole.rates.covariance


def test_arms_beside_the_ct_are_of_the_body() -> None:
    """Arms with 300 of 1300 beside the field of the CT: the liver holds 54 %, not what is left without the rest."""
    patient = box_patient()
    net = views(patient)
    wide = np.pad(net, ((0, 0), (25, 25), (0, 0)))
    through = np.exp(-0.011 * 45)
    for columns in (slice(5, 15), slice(-15, -5)):
        wide[:, columns, 4:52] += 150 / 480 * through
    found = measured(*cropped(patient, 56), wide)
    organs = {o.name: o for o in organs_of(found.rates, found.roles, found.whole)}
    assert {m.code: m.severity for m in found.messages}["counts-beside-the-ct"] == "critical"
    for name, true in (("liver", 700 / 1300), ("lungs", 120 / 1300), ("rest of body", 180 / 1300), (OUTSIDE, 3 / 13)):
        low, high = organs[name].share_95
        assert low < true < high, name
    assert organs["liver"].share.value < 0.6


def test_arms_apart_from_the_trunk_are_of_the_body_and_the_couch_is_not() -> None:
    hu = np.full((80, 40, 20), -1000.0)
    x, y, _ = np.indices(hu.shape) * 6.0
    trunk = ((x - 237) / 120) ** 2 + ((y - 100) / 80) ** 2 < 1
    arms = (np.hypot(np.abs(x - 237) - 175, y - 100)) < 30
    couch = (y > 205) & (y < 222)
    for part, value in ((trunk, 30.0), (arms, 30.0), (couch, -100.0)):
        hu[part] = value
    grid = Grid.axial(hu.shape, spacing_mm=(6.0, 6.0, 6.0), origin_mm=(0.0, 0.0, 0.0))
    volume = Volume(grid, hu.astype(np.float32), Kind.HU)
    found = body_region(volume, limbs=True).full() > 0.5
    # Voxels at the border belong to either.
    assert found[arms].mean() > 0.95
    assert found[trunk].mean() > 0.95
    assert not found[couch].any()
    assert not (body_region(volume).full() > 0.5)[arms].any()
