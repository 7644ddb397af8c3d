"""166Ho of a virtual patient by MR and by a reconstructed SPECT: mass, correlation, tumour to normal.

Run as ``python benchmarks/bench_spect_mri.py``; about a minute of one processor. docs/holmium-mri.md has the numbers.
"""

from __future__ import annotations

import hepatica

MOVED_MM = (5.0, 0.0, 10.0)


def main() -> None:
    """Print both against the truth and each other."""
    patient = hepatica.virtual_patient(
        seed=7,
        tumours=2,
        ct=hepatica.VirtualCtOptions(spacing_mm=5.0),
        treatment=hepatica.Treatment(agent="ho166-plla", catheters=("proper hepatic",)),
    )
    options = hepatica.MrSimulationOptions(mr_spacing_mm=(5, 5, 5), moved_mm=MOVED_MM)
    scans = hepatica.simulate_mri(patient.emission, ct=patient.ct, structures=patient.structures, options=options)
    found = hepatica.holmium_mri(
        scans.after,
        before=scans.before,
        structures=patient.structures,
        holmium=hepatica.HolmiumOptions(
            specific_activity_mbq_mg=scans.specific_activity_mbq_mg, calibrated_at=scans.calibrated_at
        ),
        registration=hepatica.TransformOptions(
            transform=hepatica.Transform.translation(MOVED_MM), transform_uncertainty_mm=1.0
        ),
    )
    true = {one.name: one for one in scans.structures}
    print(
        f"liver: {found['liver'].mass_mg:.1f} +- {found['liver'].mass_sd_mg:.1f} mg, true {true['liver'].mass_mg:.1f}"
    )
    normal = true["liver minus tumours"].concentration_mg_ml
    for ratio in found.ratios:
        truth = true[ratio.name].concentration_mg_ml / normal
        print(f"{ratio.name}: T/N {ratio.tumour_to_normal:.2f} +- {ratio.tumour_to_normal_sd:.2f}, true {truth:.2f}")
    camera, given = "siemens-megp", patient.patient.treatment
    scan = hepatica.SimulationOptions(scan=hepatica.ScanOptions(views=60, pixel_mm=9.0, columns=48))
    counted = hepatica.simulate_spect(patient.emission, ct=patient.ct, nuclide="Ho-166", camera=camera, options=scan)
    osem = hepatica.SpectOptions(iteration=hepatica.IterationOptions(iterations=10, subsets=6))
    spect = hepatica.reconstruct_spect(counted.projections, ct=patient.ct, camera=camera, options=osem)
    activity = hepatica.quantify(
        spect.image,
        nuclide="Ho-166",
        quantification=hepatica.QuantificationOptions(
            administered_bq=given.activity_bq, administered_at=given.administered_at
        ),
    ).concentration
    image = hepatica.Image.from_array(
        activity.values, unit="Bq/mL", grid=activity.grid, time=activity.time, nuclide="Ho-166"
    )
    for response_mm in (0.0, 8.0, 12.0):
        both = hepatica.spect_mri_agreement(
            found.activity,
            spect=image,
            structures=patient.structures,
            options=hepatica.SpectMriOptions(response_mm=response_mm),
        )
        print(f"\nMR blurred to {response_mm:g} mm: {both.title()}")
        print(*both.tables()[1:], sep="\n\n")


if __name__ == "__main__":
    main()
