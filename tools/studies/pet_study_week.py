"""The week's part of `pet_study.py`: 3 GBq and what is left of it, by scanner, with and without time of flight."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hepatica.imaging.pet.list_mode import reconstruct_list
from hepatica.imaging.pet.scanner import scanner
from pet_study import FRAME_S, METHODS, Y90, Asked, Imager, chunk_file, decay_share, drawn_frame, measured, summary

SCANNERS = ("biograph_mct", "discovery_st", "biograph_vision_600", "discovery_690")
LISTS = {3.0: 1, 0.5: 4, 1.5: 2}
"""Noise realisations by GBq, in the order in which they are made: of one pool, which holds 3 GBq once."""


def run_week(folder: Path, asked: Asked) -> dict[str, Any]:
    """Every scanner that has a pool, at falling activity, counts as the scanner's model has them."""
    runs = list(_runs(folder))
    for gbq, most in LISTS.items():
        for name, timed in runs:
            lists = most if asked.lists is None else asked.lists
            if not all(_file(folder, name, timed, gbq, m, n).exists() for m in asked.methods for n in range(lists)):
                make(folder, name, timed, gbq, lists, asked)
    found: dict[str, Any] = {}
    for name, timed in runs:
        for gbq in sorted(LISTS, reverse=True):
            row = collected(folder, name, timed, gbq)
            if row:
                found[f"{scanner(name).name}|{'TOF' if timed else 'non-TOF'}|{gbq:g}"] = row
    return found


def make(folder: Path, name: str, timed: bool, gbq: float, lists: int, asked: Asked) -> None:
    """Lists of a scanner at an activity that are not there yet, by the methods that are asked for."""
    if asked.is_over:
        return
    imager = Imager(folder, "nema", scanner(name), timed=timed)
    positrons = gbq * 1e9 * Y90.positron_yield * FRAME_S * decay_share(FRAME_S)
    for number in range(lists):
        wanted = [m for m in asked.methods if not _file(folder, name, timed, gbq, m, number).exists()]
        if not wanted or asked.is_over:
            continue
        frame = drawn_frame(imager.pool, positrons, FRAME_S, 200 + number)
        data = imager.data(frame, positrons / imager.pool.positrons, wanted)
        counts = {key: frame.number(kind) for kind, key in enumerate(("trues", "scattered", "randoms"))}
        for method in wanted:
            image = reconstruct_list(data, imager.projector, METHODS[method], within=imager.body)
            numbers = measured(image, imager.scene, positrons, imager.sensitivity)
            kept = _file(folder, name, timed, gbq, method, number)
            kept.write_text(json.dumps({"counts": counts, "measured": numbers}))
            print(name, timed, gbq, method, number, {k: round(v, 3) for k, v in numbers.items()}, flush=True)
            if gbq == max(LISTS) and number == 0:
                np.save(folder / f"week-{name}-{timed}-{method}.npy", image)


def collected(folder: Path, name: str, timed: bool, gbq: float) -> dict[str, Any]:
    """Mean numbers of every method of what is there, and the counts of the first list."""
    found: dict[str, Any] = {}
    for method in METHODS:
        files = [f for n in range(20) if (f := _file(folder, name, timed, gbq, method, n)).exists()]
        rows = [json.loads(f.read_text()) for f in files]
        if rows:
            found[method] = summary([row["measured"] for row in rows])
            found |= rows[0]["counts"]
    return found


def _runs(folder: Path) -> Iterator[tuple[str, bool]]:
    for name in SCANNERS:
        of = scanner(name)
        if chunk_file(folder, "nema", of, 1).exists():
            yield from ((name, timed) for timed in ((True, False) if of.time_of_flight is not None else (False,)))


def _file(folder: Path, name: str, timed: bool, gbq: float, method: str, number: int) -> Path:
    return folder / f"week-{name}-{timed}-{gbq:g}-{method}-{number}.json"
