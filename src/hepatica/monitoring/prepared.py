"""A prepared injection as plain values: setup, masks and flow, as a JSON document holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepatica.errors import InputError
from hepatica.monitoring.setup import Doubts, Setup
from hepatica.monitoring.simulation.flow import FlowSettings
from hepatica.nuclides import agent as find_agent
from hepatica.nuclides import nuclide

SCHEMA = "hepatica/monitoring-setup/1"

LETTERS = "abcdefghijklmnopqrstuvwxyz"
"""Of the regions in the mask, in their order."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """What the monitor needs before the first frame.

    Attributes
    ----------
    setup : Setup
        Regions, response, plan, doubts.
    mask : ndarray of int, shape (rows, columns)
        Region that each pixel is counted for.
    pixel_mm : float
        Edge of a pixel.
    nuclide, agent : str
        What is injected.
    flow : FlowSettings
        How an uneventful injection runs: pulses, variation.
    head : str
        "anterior" or "posterior", of which frames are; empty where it is not known.
    row_to_left, column_to_head : int, bool or None
        How rows (1 to the patient's left, -1 to the right) and columns of a frame run; None where it is not known.
    """

    setup: Setup
    mask: NDArray[np.int64]
    pixel_mm: float
    nuclide: str
    agent: str
    flow: FlowSettings
    head: str = ""
    row_to_left: int | None = None
    column_to_head: bool | None = None

    def as_document(self) -> dict[str, Any]:
        """For JSON."""
        setup = self.setup
        plain = {
            item.name: getattr(setup, item.name)
            for item in fields(setup)
            if item.name not in ("doubts", "limits_bq", "signal_sd_bq")
        }
        arrays = ("response_cps_per_bq", "background_cps", "expected_shares")
        letters = np.array(list(LETTERS))
        return {
            "schema": SCHEMA,
            "nuclide": self.nuclide,
            "agent": self.agent,
            "pixel_mm": self.pixel_mm,
            **{name: getattr(self, name) for name in STANDS},
            **{name: value.tolist() if name in arrays else value for name, value in plain.items()},
            "regions": list(setup.regions),
            "roles": list(setup.roles),
            "limits_bq": dict(setup.limits_bq),
            "doubts": asdict(setup.doubts),
            "flow": {name: getattr(self.flow, name) for name in FLOW},
            "mask": ["".join(row) for row in letters[self.mask]],
        }

    @classmethod
    def from_document(cls, content: Any, where: str = "the setup") -> Prepared:
        """From what JSON held.

        Raises
        ------
        InputError
            If it is no such document, or says what cannot be; the message names the key.
        """
        if not isinstance(content, Mapping) or content.get("schema") != SCHEMA:
            raise InputError(f"{where}: is no setup of monitoring (schema {SCHEMA!r})")
        known = {item.name for item in fields(Setup)} - {"signal_sd_bq"} | {"schema", "flow", *OWN}
        if unknown := sorted(set(content) - known):
            raise InputError(f"{where}: holds {', '.join(unknown)}, which a setup has not")
        for key in NUMBERS:
            if key in content and (isinstance(content[key], bool) or not isinstance(content[key], int | float)):
                raise InputError(f"{where}: {key} is {content[key]!r}, not a number")
        try:
            given = {key: content[key] for key in known & set(content) - {"schema", *OWN}}
            doubts = Doubts(**content.get("doubts", {}))
            flow = FlowSettings(**content.get("flow", {}))
            named = {"regions": tuple(content["regions"]), "roles": tuple(content["roles"])}
            setup = Setup(**{**given, **named, "doubts": doubts})
            mask = _mask(content["mask"], len(setup.regions), where)
            _check_half_life(str(content["nuclide"]), setup.half_life_s, where)
            _check_agent(str(content.get("agent", "")), str(content["nuclide"]), where)
            return cls(
                setup,
                mask,
                float(content["pixel_mm"]),
                str(content["nuclide"]),
                str(content.get("agent", "")),
                flow,
                **{name: content[name] for name in STANDS if name in content},
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{where}: {error.args[0] if error.args else error!r} is missing or of the wrong kind"
            ) from error


FLOW = ("variation", "variation_s", "pulse_s", "pause_s")

HALF_LIFE_OFF = 0.02
"""Relative difference from the nuclide's half-life that a setup may have."""


def _check_half_life(name: str, half_life_s: float, where: str) -> None:
    held = nuclide(name).half_life_s
    if abs(half_life_s / held - 1) > HALF_LIFE_OFF:
        raise InputError(f"{where}: half_life_s is {half_life_s:g} s, that of {name} is {held:.6g} s")


def _check_agent(agent: str, name: str, where: str) -> None:
    if agent and (held := find_agent(agent)).nuclide_name != nuclide(name).name:
        raise InputError(
            f"{where}: the agent is {held.name}, which carries {held.nuclide_name}; the nuclide is {name}",
            remedy="state the agent that is injected, and its nuclide",
        )


STANDS = ("head", "row_to_left", "column_to_head")
"""How frames stand to the patient."""

NUMBERS = (
    "half_life_s", "planned_bq", "infusion_s", "tau_s", "residual", "lag_s", "dispersion_s", "pixel_mm",
)  # fmt: skip

OWN = ("nuclide", "agent", "pixel_mm", "flow", "mask", *STANDS)


def _mask(rows: Any, regions: int, where: str) -> NDArray[np.int64]:
    lengths = {len(row) for row in rows}
    letters = set("".join(rows))
    if len(lengths) != 1 or not letters <= set(LETTERS[:regions]):
        raise InputError(
            f"{where}: the mask has rows of one length and the letters a to {LETTERS[regions - 1]}, one for each region"
        )
    return np.array([[LETTERS.index(letter) for letter in row] for row in rows], dtype=np.int64)
