"""How fast and how large the workbench is in a real browser, without a GPU, on a large CT with a dose map.

    python benchmarks/bench_workbench.py [--small]

Prints each number beside what is asked of it. Times depend on what else the machine does: the load is printed too, and
of three page loads and of three rows of redraws the fastest counts.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SHAPE = (512, 512, 300)
FIRST = "workbench.stages[0].image && workbench.stages[0].drewAt > 0 ? workbench.stages[0].drewAt : 0"
STREAMED = """async () => { for (;;) { const found = [...(globalThis.workbench?.images?.volumes?.values() ?? [])]
  if (found.length > 1) { await Promise.all(found.map((one) => one.done)); return performance.now() }
  await new Promise((next) => setTimeout(next, 20)) } }"""
REDRAWS = """async (count) => { const stage = workbench.stages[0]; const { low, high } = stage.image.bounds
  const at = (n) => low.map((start, axis) => start + (high[axis] - start) * (0.3 + 0.4 * n / count))
  const begun = performance.now(); const first = stage.frames
  for (let n = 0; n < count; n++) { stage.moveTo(at(n)); await new Promise(requestAnimationFrame) }
  return (stage.frames - first) / (performance.now() - begun) * 1000 }"""
ONE = """async (what) => { const stage = workbench.stages[0]; const times = []
  for (let n = 0; n < 9; n++) { const begun = performance.now()
    if (what === 'window') stage.window = [-160 + n, 240 + n]; else stage.opacity = 0.3 + 0.05 * n
    stage.version++; stage.drawNow(); times.push(performance.now() - begun) }
  return times.sort((a, b) => a - b)[4] }"""

EDIT = """async (value) => { const box = document.querySelector('[data-name="aims.perfused"]')
  const before = document.documentElement.dataset.planned
  box.value = value; const begun = performance.now(); box.dispatchEvent(new Event('input'))
  while (document.documentElement.dataset.planned === before && performance.now() - begun < 5000)
    await new Promise((next) => setTimeout(next, 2))
  return performance.now() - begun }"""


def large_case(place: Path, shape: tuple[int, int, int]) -> Path:
    """A CT of noise and organs of the size asked for, with a dose map of 4 mm, in a case."""
    from hepatica import Case
    from hepatica.core import Grid, Kind, Volume
    from hepatica.core.context import DicomContext
    from hepatica.io.dicom.images.write import write_ct
    from hepatica.io.dicom.rtdose import write_rtdose

    context = DicomContext.invented(patient_id="BENCH")
    spacing = (400 / shape[0], 400 / shape[1], 450 / shape[2])
    grid = Grid.axial(
        shape, spacing_mm=spacing, origin_mm=(-200, -200, -225), frame_of_reference=context.frame_of_reference
    )
    rng = np.random.default_rng(1)
    x, y = (np.arange(n) * s - 200 for n, s in zip(shape[:2], spacing[:2], strict=True))
    body = ((x[:, None] / 170) ** 2 + (y[None] / 120) ** 2 < 1).astype(np.float32)
    values = np.empty(shape, np.float32)
    for k in range(shape[2]):
        values[:, :, k] = np.clip(np.rint(-1000 + 1040 * body + rng.normal(0, 15, shape[:2])), -1024, 3000)
    written = write_ct(place / "ct", Volume(grid, values, Kind.HU), context)
    coarse = Grid.axial(
        (80, 70, 80), spacing_mm=(4, 4, 4), origin_mm=(-160, -140, -160), frame_of_reference=context.frame_of_reference
    )
    at = coarse.to_mm(np.stack(np.meshgrid(*map(np.arange, coarse.shape), indexing="ij"), axis=-1))
    dose = 200 * np.exp(-((at - (-40, 10, 20)) ** 2).sum(axis=-1) / (2 * 35**2))
    write_rtdose(place / "dose.dcm", Volume(coarse, dose.astype(np.float32), Kind.DOSE), written)
    case = Case.new(place / "case")
    case.add(place / "ct", "therapy-ct", treatment=1, reference=True)
    case.add(place / "dose.dcm", "dose", treatment=1)
    return place / "case"


def memory_mb(pid: int, what: str = "VmRSS") -> float:
    """Of a process, as the system says."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(rf"{what}:\s+(\d+) kB", text)
    return int(found[1]) / 1024 if found else float("nan")


def served(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """A workbench in a process of its own, and its address."""
    command = [sys.executable, "-m", "hepatica", "workbench", str(folder), "--no-browser"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if address := re.search(r"http://\S+", line):
            return process, address[0]
    raise RuntimeError("the workbench did not start")


def measured(address: str, process: subprocess.Popen[str], chromium: str) -> dict[str, float]:
    """Numbers of one opening of the viewer."""
    from playwright.sync_api import sync_playwright

    found: dict[str, float] = {"server before, MB": memory_mb(process.pid)}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        loads = []
        for last in (False, False, True):
            page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
            begun = time.perf_counter()
            page.goto(address)
            page.locator("html[data-state=ready]").wait_for(state="attached", timeout=120000)
            loads.append(time.perf_counter() - begun)
            if not last:
                page.context.close()
        found["page of the case, s"] = min(loads)
        base, key = address.split("/login", maxsplit=1)[0], re.search(r"case/([0-9a-f]+)", page.url)[1]
        begun = time.perf_counter()
        page.goto(f"{base}/#/case/{key}/viewer")
        while not page.evaluate(f"globalThis.workbench?.stages ? {FIRST} : 0"):
            time.sleep(0.01)
        found["first slice, s"] = time.perf_counter() - begun
        page.evaluate(STREAMED)
        found["CT and dose complete, s"] = time.perf_counter() - begun
        page.wait_for_timeout(1500)
        page.evaluate(REDRAWS, 20)  # the first pass compiles
        found["redraws of three planes with dose and lines, 1/s"] = max(page.evaluate(REDRAWS, 40) for _ in range(3))
        found["change of window, ms"] = page.evaluate(ONE, "window")
        found["change of opacity, ms"] = page.evaluate(ONE, "opacity")
        found["server while open, MB"] = memory_mb(process.pid)
        found["server at most, MB"] = memory_mb(process.pid, "VmHWM")
        page.set_viewport_size({"width": 3840, "height": 2160})
        page.wait_for_timeout(800)
        found["redraws at 4 K, 1/s"] = page.evaluate(REDRAWS, 30)
        page.goto("about:blank")
        page.wait_for_timeout(2500)
        found["server after closing, MB"] = memory_mb(process.pid)
        browser.close()
    return found


ASKED = {
    "page of the case, s": ("<", 2.0), "first slice, s": ("<", 1.5), "change of window, ms": ("<", 50),
    "change of opacity, ms": ("<", 50), "redraws of three planes with dose and lines, 1/s": (">", 20),
    "server at most, MB": ("<", 1500), "plan edited, ms": ("<", 200),
    "its dose map, s": ("<", 10),
}  # fmt: skip


def plan_times(folder: Path, chromium: str) -> dict[str, float]:
    """Medians of the time from an edit to the numbers on the page, and to the dose map, of a case with a plan."""
    from playwright.sync_api import sync_playwright

    process, address = served(folder)
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page()
            page.goto(address)
            page.locator("html[data-state=ready]").wait_for(state="attached", timeout=60000)
            page.goto(re.sub(r"/case$", "/plan", page.url))
            page.locator('[data-name="aims.perfused"]').wait_for(timeout=60000)
            done = page.locator('section[data-state="ready"]')
            done.wait_for(timeout=120000)
            times = [page.evaluate(EDIT, f"{dose}.5 Gy") for dose in range(100, 112)]
            voxels = []
            for dose in (130, 140, 150):
                page.evaluate(EDIT, f"{dose}.5 Gy")
                page.locator('section[data-state="waiting"]').wait_for(timeout=20000)
                done.wait_for(timeout=120000)
                voxels.append(page.evaluate("workbench.voxels.took / 1000"))
            browser.close()
        return {"plan edited, ms": float(np.median(times)), "its dose map, s": float(np.median(voxels))}
    finally:
        process.terminate()
        process.wait(20)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a CT of 128 x 128 x 60, to try the script")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--case", type=Path, help="a case with a plan, for the plan editor")
    parser.add_argument("--keep", type=Path, help="folder to keep the large case in, or to take it from")
    asked = parser.parse_args()
    shape = (128, 128, 60) if asked.small else SHAPE
    with tempfile.TemporaryDirectory() as scratch:
        place = asked.keep or Path(scratch)
        folder = place / "case" if (place / "case").is_dir() else large_case(place, shape)
        process, address = served(folder)
        try:
            found = measured(address, process, asked.chromium)
        finally:
            process.terminate()
            process.wait(20)
    if asked.case is not None:
        found |= plan_times(asked.case, asked.chromium)
    print(f"CT of {' x '.join(map(str, shape))}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for name, value in found.items():
        sign, bound = ASKED.get(name, ("", 0))
        verdict = (
            "" if not sign else f"asked {sign} {bound:g}: {'met' if (value < bound) == (sign == '<') else 'MISSED'}"
        )
        print(f"{name:55} {value:10.2f}  {verdict}")
    print(json.dumps({"cpu_s": resource.getrusage(resource.RUSAGE_SELF).ru_utime}))


if __name__ == "__main__":
    main()
