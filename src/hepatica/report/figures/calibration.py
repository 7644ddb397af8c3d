"""Figures of calibration: a recovery curve through its spheres."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hepatica.report.figures.outcome import FAINT, PALETTE, new_figure

if TYPE_CHECKING:
    from hepatica.imaging.quantify.recovery import RecoveryCurve

COVERAGE_95 = 1.96


def draw_recovery(curve: RecoveryCurve) -> Any:
    """Recovery against volume: spheres (mean and highest voxel), fitted curve, its 95 % interval."""
    import numpy as np

    figure, axis = new_figure()
    low, high = curve.range_ml
    volumes = np.geomspace(low, high, 200)
    fitted = [curve.at(float(volume)) for volume in volumes]
    values = np.array([estimate.value for estimate in fitted])
    spread = COVERAGE_95 * np.array([estimate.sd or 0.0 for estimate in fitted])
    axis.fill_between(volumes, values - spread, values + spread, color=PALETTE[0], alpha=0.18, linewidth=0)
    axis.plot(volumes, values, color=PALETTE[0], label="fitted curve and its 95 % interval")
    sizes = [sphere.volume_ml for sphere in curve.spheres]
    sds = [sphere.mean.sd for sphere in curve.spheres]
    bars = None if None in sds else [COVERAGE_95 * sd for sd in sds if sd is not None]
    axis.errorbar(
        sizes, [sphere.mean.value for sphere in curve.spheres], yerr=bars, fmt="o", color=PALETTE[1], label="mean"
    )
    highest = [(sphere.volume_ml, sphere.maximum) for sphere in curve.spheres if sphere.maximum is not None]
    if highest:
        axis.plot(*zip(*highest, strict=True), "^", color=PALETTE[2], label="highest voxel")
    axis.axhline(1.0, color=FAINT, linewidth=0.8)
    axis.set_xscale("log")
    axis.set_xticks(
        sizes, [f"{volume:.2g}\n{sphere.diameter_mm:.3g}" for volume, sphere in zip(sizes, curve.spheres, strict=True)]
    )
    axis.minorticks_off()
    axis.set(xlabel="volume in mL (diameter in mm)", ylabel="recovery", ylim=(0, None))
    conditions = curve.conditions
    where = ", ".join(str(part) for part in (conditions.nuclide, conditions.camera) if part)
    axis.set_title(f"Recovery, {where}: 1 / (1 + ({curve.half_volume_ml:.3g} mL / v)^{curve.exponent:.2f})")
    axis.legend(frameon=False)
    return figure
