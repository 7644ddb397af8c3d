"""Write the response table of each shipped camera: collimator, crystal and what lies behind it, by Monte Carlo.

Run: ``python tools/tables/build_detector_responses.py [CAMERA ...]``; all cameras without arguments, about two minutes
of one processor each. The same seed gives the same file on any number of threads (``--threads N``). ``--azimuth`` makes
only what azimuth does to straight lines through lead (20 s each) and keeps the rest of the files.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from hepatica.imaging.spect.camera.cameras import CAMERA_NAMES, gamma_camera
from hepatica.imaging.spect.camera.collimator_montecarlo import DetectorRun, simulate_detector, with_star
from hepatica.imaging.spect.camera.detector_tables import detector_response, encode, geometry_of

FOLDER = Path(__file__).resolve().parents[2] / "src" / "hepatica" / "imaging" / "spect" / "camera" / "tables"


def main() -> None:
    """Write detector_<camera>.txt.gz."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cameras", nargs="*", default=CAMERA_NAMES)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--azimuth", action="store_true", help="only what azimuth does")
    asked = parser.parse_args()
    for name in asked.cameras:
        camera = gamma_camera(name)
        start = time.perf_counter()
        if asked.azimuth:
            response = with_star(detector_response(camera), camera)
        else:
            response = simulate_detector(camera, DetectorRun(threads=asked.threads)).response
        data = encode(response, geometry_of(camera))
        (FOLDER / f"detector_{name}.txt.gz").write_bytes(data)
        print(f"{name}: {len(data) / 1024:.0f} KiB, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
