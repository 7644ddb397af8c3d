"""A simulated injection: frames, meter readings, setup and truth."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepatica.core import Provenance
from hepatica.core.context import DicomContext
from hepatica.core.document import HIDDEN
from hepatica.core.options import parameters, verb
from hepatica.core.progress import Progress, silent
from hepatica.core.tables.table import Table
from hepatica.io.dicom.images.write import Emission
from hepatica.io.files import write_text
from hepatica.monitoring.options import InjectionOptions
from hepatica.monitoring.prepared import Prepared
from hepatica.monitoring.setup import Array
from hepatica.monitoring.simulation.frames import Instant, instants, onset_of
from hepatica.monitoring.simulation.scenes import scene, source_named
from hepatica.workflow.result import Result, result

STARTED = datetime(2026, 3, 2, 10, 15, tzinfo=UTC)

WINDOWS_KEV = {"Tc-99m": (126.0, 154.0), "Ho-166": (74.5, 86.6), "Y-90": (75.0, 225.0)}


@result
class InjectionResult(Result):
    """A simulated injection and its truth.

    Attributes
    ----------
    prepared : Prepared
        The setup, as the monitor takes it.
    counts : ndarray, shape (frames, 128, 128)
        Of the camera.
    readings : str
        CSV of the meter.
    truth_bq : ndarray, shape (frames, regions)
        Activity in each region at the end of each frame, decay taken back to the start.
    """

    verb = "simulate_injection"

    injection: str
    flow_event: str
    event_at_s: float | None
    frame_s: float
    frames: int
    planned_bq: float
    infused_bq: float
    delivered_bq_by_region: dict[str, float]
    prepared: Prepared = field(metadata=HIDDEN)
    context: DicomContext = field(metadata=HIDDEN)
    counts: NDArray[np.float64] = field(metadata=HIDDEN)
    readings: str = field(metadata=HIDDEN)
    truth_bq: Array = field(metadata=HIDDEN)

    def title(self) -> str:
        """What was injected and what happened."""
        when = "" if self.event_at_s is None else f" at {self.event_at_s:.1f} s"
        return f"{self.injection}: {self.frames} frames of {self.frame_s:g} s; {self.flow_event}{when}"

    def table(self) -> Table:
        """What each region truly got."""
        rows = [
            (name, value / 1e6, 100 * value / self.planned_bq) for name, value in self.delivered_bq_by_region.items()
        ]
        return Table.of(("region", "MBq", "of the vial, %"), rows, "The truth at the end", "truth")

    def write(self, folder: Path) -> None:
        """Write ``frames.dcm`` (NM DYNAMIC), ``readings.csv``, ``setup.json`` and ``truth.csv``."""
        from hepatica.io.dicom.images.dynamic import write_dynamic

        nuclide = self.prepared.nuclide
        emission = Emission(nuclide, STARTED, self.frame_s, energy_window_kev=WINDOWS_KEV[nuclide])
        write_dynamic(folder / "frames.dcm", self.counts, self.context, emission, pixel_mm=self.prepared.pixel_mm)
        write_text(folder / "readings.csv", self.readings)
        write_text(folder / "setup.json", json.dumps(self.prepared.as_document(), indent=1) + "\n")
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["time_s", *(f"{name}_bq" for name in self.prepared.setup.regions)])
        for n, row in enumerate(self.truth_bq):
            writer.writerow([f"{(n + 1) * self.frame_s:.3f}", *(f"{value:.6g}" for value in row)])
        write_text(folder / "truth.csv", stream.getvalue())


@verb
def simulate_injection(
    *, options: InjectionOptions = InjectionOptions(), progress: Progress | None = None
) -> InjectionResult:
    """A simulated injection with known truth: a camera's frames, a meter's readings, the setup for `monitor`.

    Parameters
    ----------
    options : InjectionOptions
        What is injected, and what happens.
    progress : callable, optional
        Told each step.

    Returns
    -------
    InjectionResult
        Frames, readings, setup and truth; ``save`` writes them as files that `monitor` takes.

    Raises
    ------
    UnknownNameError
        If the patient has no such artery.

    Examples
    --------
    >>> made = hepatica.simulate_injection(options=hepatica.InjectionOptions(flow_event="stasis"))  # doctest: +SKIP
    >>> made.save("injection")  # doctest: +SKIP
    """
    say = progress or silent
    say("patient and camera")
    source = source_named(options.injection)
    table = scene(source, seed=options.seed, branch=options.branch)
    flow = replace(source.flow, event=options.flow_event)
    moved = None
    if options.moves_mm:
        elsewhere = scene(source, seed=options.seed, branch=options.branch, moved_mm=(0.0, options.moves_mm),
                          patient=table.patient)  # fmt: skip
        moved = (source.infusion_s / 2, elsewhere.images)
    say("frames")
    made: list[Instant] = list(instants(table, flow, frame_s=options.frame_s, seed=options.seed, moved=moved))
    onset = onset_of(table, flow, options.seed)
    prepared = Prepared(table.setup, table.mask, table.pixel_mm, source.nuclide, source.agent, source.flow, "anterior")
    truth = np.stack([one.true_bq for one in made])
    identity = f"HEPATICA-{options.seed}"
    return InjectionResult(
        injection=source.name,
        flow_event=options.flow_event,
        event_at_s=float(onset) if np.isfinite(onset) else None,
        frame_s=options.frame_s,
        frames=len(made),
        planned_bq=source.activity_bq,
        infused_bq=made[-1].infused_bq,
        delivered_bq_by_region=dict(zip(table.setup.regions, truth[-1].tolist(), strict=True)),
        prepared=prepared,
        context=DicomContext.invented(
            patient_id=identity, patient_name=f"Virtual^Patient {options.seed}", when=STARTED
        ),
        counts=np.stack([one.frame.values for one in made]),
        readings="kind,time_s,value\n"
        + "".join(f"{r.kind},{r.at_s:.3f},{r.value:.5g}\n" for one in made for r in one.readings),
        truth_bq=truth,
        provenance=Provenance(
            parameters=parameters(options),
            steps=("virtual patient before a planar camera", "flow from vial to tissue", "counts with Poisson noise"),
        ),
    )
