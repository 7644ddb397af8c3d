"""Organs of planar views: the fit of a CT's structures with its whole uncertainty, beside the views' own projection.

Run: ``python benchmarks/bench_planar.py [pixel_mm]``; 8 mm by default, a virtual patient of 131I. No other open program
measures planar views, so the ratio is to what is at hand in the same run: the analytic projection of the two views by
the SPECT projector, and the plain geometric mean of regions (the classic way, without overlap or uncertainty).
"""

import sys
import time
from pathlib import Path

import numpy as np

from hepatica.imaging.planar.conjugate import geometric_mean
from hepatica.imaging.planar.from_ct.projected import ProjectedMeasurement, fitted_fwhm, projected_rates
from hepatica.imaging.planar.from_ct.projection import place_of_ct
from hepatica.imaging.planar.options import PlanarCountsOptions, PlanarUncertaintyOptions
from hepatica.imaging.planar.organs import STILL
from hepatica.imaging.planar.rates import count_rates
from hepatica.nuclides import nuclide

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools" / "studies"))
import planar_study as study


def timed(what: str, work: object, base: float | None = None) -> tuple[float, object]:
    """Processor time of a call, printed with its ratio to another."""
    start = time.process_time()
    found = work()  # type: ignore[operator]
    spent = time.process_time() - start
    print(
        f"{what}: {spent:.2f} s of processor" + ("" if base is None else f", {spent / base:.2g} times the projection")
    )
    return spent, found


def main() -> None:
    """Time each part."""
    study.PIXEL_MM = float(sys.argv[1]) if len(sys.argv) > 1 else 8.0
    patient = study.patient_of("lipiodol", 3)
    base, seen = timed("analytic projection of both views", lambda: study.views_of(patient, "lipiodol", "analytic", 0))
    regions, roles = study.organs_in(patient)
    energy = study.photon_energy_kev(nuclide("I-131"), seen.views.windows[0])  # type: ignore[attr-defined]
    rates = count_rates(
        seen.views, 0, PlanarCountsOptions(planar_scatter="none"), half_life_s=nuclide("I-131").half_life_s  # type: ignore[attr-defined]
    )  # fmt: skip
    _, model = timed(
        "CT and structures on the views' columns",
        lambda: study.ct_model(
            patient.ct, patient.regions["body"], regions, roles, energy_kev=energy, pixel_mm=rates.pixel_mm,
            mu_scale=1.0,
        ),
        base,
    )  # fmt: skip
    body = model.body  # type: ignore[attr-defined]
    _, place = timed("place of the CT on the views", lambda: place_of_ct(rates.net, body.projected()), base)
    plain = ProjectedMeasurement(rates, body, place[0], 0.0)  # type: ignore[index]
    _, width = timed("width of the response", lambda: fitted_fwhm(plain), base)
    one = ProjectedMeasurement(rates, body, place[0], width)  # type: ignore[index, arg-type]
    _, seen_now = timed("templates", lambda: one.seen(STILL), base)
    timed("one fit of both views", lambda: one.fit(STILL, seen_now), base)  # type: ignore[arg-type]
    timed("fit with its whole uncertainty", lambda: projected_rates(one, PlanarUncertaintyOptions()), base)
    outline = seen_now.thickness_mm[0] > 1  # type: ignore[attr-defined]
    net = [(float(view[outline].sum()), 1.0) for view in rates.net]
    timed("geometric mean of one region", lambda: geometric_mean("liver", net[0], net[1]), base)
    assert np.isfinite(rates.net).all()


if __name__ == "__main__":
    main()
