"""Time to make a virtual patient, beside SimpleITK resampling an image of as many voxels in the same run.

Run as ``python benchmarks/bench_virtual_patient.py``.
"""

from __future__ import annotations

import time

import SimpleITK as sitk  # noqa: N813

from hepatica.anatomy.virtual_patient import AnatomyOptions, PatientSettings, VirtualCtOptions, virtual_patient


def resample_seconds(values: object, rounds: int = 3) -> float:
    """Processor seconds of one B-spline resampling of the CT, turned by a degree, on one thread."""
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    image = sitk.GetImageFromArray(values)
    turn = sitk.Euler3DTransform()
    turn.SetRotation(0.0, 0.0, 0.0175)
    start = time.process_time()
    for _ in range(rounds):
        sitk.Resample(image, image, turn, sitk.sitkBSpline, -1000.0)
    return (time.process_time() - start) / rounds


def main() -> None:
    """Print processor seconds and ratios."""
    virtual_patient(
        PatientSettings(anatomy=AnatomyOptions(terminals=24), ct=VirtualCtOptions(spacing_mm=12))
    )  # imports
    for spacing_mm in (4.0, 2.0):
        wall, busy = time.perf_counter(), time.process_time()
        patient = virtual_patient(PatientSettings(seed=7, ct=VirtualCtOptions(spacing_mm=spacing_mm)))
        wall, busy = time.perf_counter() - wall, time.process_time() - busy
        other = resample_seconds(patient.ct.values)
        print(
            f"{spacing_mm:g} mm, {patient.grid.size / 1e6:.2f} M voxels, {len(patient.tree.ends)} ends of arteries: "
            f"{busy:.2f} s of one processor ({wall:.2f} s), {busy / other:.1f} times a B-spline resampling "
            f"by SimpleITK ({other:.2f} s)"
        )


if __name__ == "__main__":
    main()
