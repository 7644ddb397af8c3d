"""Build the decay tables of `hepatica.nuclides` from ENSDF and atomic data.

Run ``python tools/tables/build_nuclides.py`` with the extra ``build-tables`` installed (paceENSDF, xraylib). It writes
nuclides.csv, betas.csv, electrons.csv, photons.csv and parents.csv into ``src/hepatica/nuclides/tables``.

What comes from where
    Half-lives, beta and electron-capture branches, gamma lines, conversion coefficients: ENSDF (JSON of paceENSDF).
    K, L, M vacancies left by conversion and capture are followed down with xraylib's fluorescence yields, radiative,
    Auger and Coster-Kronig rates (EADL, Krause, Elam); binding energies are xraylib's too. Energy is conserved: every
    vacancy's binding energy ends in X rays and electrons. Auger lines are grouped by family at their mean energy.
    ENSDF gives conversion per shell, not per subshell: the split among L1-L3 (M1-M5) is by multipolarity (`SUBSHELLS`);
    it moves a few eV to tens of eV between conversion and Auger electrons and changes no total by 0.1 %.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import xraylib

TABLES = Path(__file__).resolve().parents[2] / "src/hepatica/nuclides/tables"
SHELLS = "KLMNOPQ"
ISOMER_S = 60.0
"""A level that lives longer is a nuclide of its own (131mXe, 11.86 d): what follows it is not part of this decay."""
PAIR = {("Y-90", 1760.7): (31.86e-6, 0.47e-6)}
"""Internal pair creation per decay: Selwyn et al., Appl Radiat Isot 2007;65:318, 31.86(47)e-6."""
TC99M_GAMMA_YIELD = (0.89, 0.03)
"""ENSDF 99TC IT DECAY (6.0072 h), Nucl. Data Sheets 145 (2017) 25: photon normalisation of the 140.5 keV line."""
TC99M_TO_GROUND = 0.999963
ELECTRON_REST_KEV = 510.99895

NUCLIDES = {
    "Y-90": ("Y90_Zr90",),
    "I-131": ("I131_Xe131",),
    "Re-188": ("Re188_Os188",),
    "Ho-166": ("Ho166_Er166",),
    "Lu-177": ("Lu177_Hf177",),
    "Sm-153": ("Sm153_Eu153",),
    "Re-186": ("Re186_Os186", "Re186_W186"),
    "Tc-99m": ("Tc99_Ru99",),
}
PARENTS = {
    "Sr-90": ("Sr90_Y90", "Y-90"),
    "W-188": ("W188_Re188", "Re-188"),
    "Dy-166": ("Dy166_Ho166", "Ho-166"),
    "Mo-99": ("Mo99_Tc99", "Tc-99m"),
}
SUBSHELLS = {"E0": (1.0, 0.0, 0.0), "M1": (1.0, 0.0, 0.0), "E2": (0.0, 0.5, 0.5), "E1": (0.4, 0.3, 0.3)}
SHAPES = {
    "allowed": "allowed",
    "firstForbidden": "allowed (xi approximation)",
    "firstForbiddenUnique": "unique first-forbidden",
}


@dataclass
class Emissions:
    """What one nuclide emits; electrons and photons are (energy, energy sd, yield, yield sd, kind, origin)."""

    betas: list[tuple[Any, ...]] = field(default_factory=list)
    electrons: list[tuple[Any, ...]] = field(default_factory=list)
    photons: list[tuple[Any, ...]] = field(default_factory=list)


def dataset(stem: str, level: str = "0") -> dict[str, Any]:
    """ENSDF decay data set of paceENSDF, parent at `level` keV."""
    folder = resources.files("paceENSDF") / "ENSDF_JSON"
    names = [entry.name for entry in folder.iterdir() if entry.name.startswith(f"j_input_{stem}_")]
    (name,) = [name for name in names if name.endswith(f"_{level}keV.json")]
    loaded: dict[str, Any] = json.loads((folder / name).read_text())
    return loaded


def load(name: str, stem: str) -> dict[str, Any]:
    """Data set of a nuclide (99mTc is an isomer, 142.68 keV above 99Tc)."""
    return dataset(stem, "142.6836") if name == "Tc-99m" else dataset(stem)


# --- atomic relaxation -------------------------------------------------------------------------------------------


def _xl(function: Any, *args: Any) -> float:
    try:
        return float(function(*args))
    except ValueError:  # xraylib raises it where a transition does not exist for the element
        return 0.0


def binding_kev(z: int, shell: str) -> float:
    """Binding energy; 0 where xraylib has none (outermost shells)."""
    constant = getattr(xraylib, f"{shell}_SHELL", None)
    return 0.0 if constant is None else _xl(xraylib.EdgeEnergy, z, constant)


LINES = [n.removesuffix("_LINE") for n in dir(xraylib) if n.endswith("_LINE")]
AUGER = [n.removesuffix("_AUGER") for n in dir(xraylib) if n.endswith("_AUGER")]


def relax(z: int, vacancies: dict[str, tuple[float, float]], out: Emissions, origin: str) -> None:
    """Follow vacancies (shell -> yield, sd) down to the outer shells and add X rays and Auger electrons to `out`."""
    holes: defaultdict[str, float] = defaultdict(float)
    variance = 0.0
    for shell, (amount, sd) in vacancies.items():
        holes[shell] += amount
        variance += (sd * binding_kev(z, shell)) ** 2
    total = sum(amount * binding_kev(z, shell) for shell, amount in holes.items())
    relative = math.sqrt(variance) / total if total else 0.0
    photons: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    electrons: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for shell in ("K", "L1", "L2", "L3"):
        if holes[shell]:
            _relax_shell(z, shell, holes, photons, electrons)
    for shell in list(holes):
        if shell[0] in "KL" or not holes[shell]:
            continue
        energy = binding_kev(z, shell)
        constant = getattr(xraylib, f"{shell}_SHELL", None)
        fluorescence = _xl(xraylib.FluorYield, z, constant) if constant is not None and shell[0] == "M" else 0.0
        photons["M X"].append((energy, holes[shell] * fluorescence))
        family = "M Auger" if shell[0] == "M" else "outer-shell Auger"
        electrons[family].append((energy, holes[shell] * (1 - fluorescence)))
    for kind, families, target in (("x", photons, out.photons), ("auger", electrons, out.electrons)):
        for family, lines in families.items():
            amount = sum(y for _, y in lines)
            if amount > 0:
                mean = sum(e * y for e, y in lines) / amount
                target.append((mean, None, amount, relative * amount, kind, f"{origin} {family}"))


def _relax_shell(z: int, shell: str, holes: Any, photons: Any, electrons: Any) -> None:
    amount, energy = holes.pop(shell), binding_kev(z, shell)
    fluorescence = _xl(xraylib.FluorYield, z, getattr(xraylib, f"{shell}_SHELL"))
    rest = 1 - fluorescence - _coster_kronig(z, shell, amount, holes, electrons)
    lines = []
    for name in LINES:  # "KL3", "L3M5"; groups such as "KA" or "KO" have no final subshell
        final = name.removeprefix(shell)
        if name.startswith(shell) and len(final) == 2 and final[0] in "LMNOP" and final[1].isdigit():
            lines.append((final, _xl(xraylib.RadRate, z, getattr(xraylib, f"{name}_LINE"))))
    scale = sum(rate for _, rate in lines)
    for final, rate in lines:
        if rate:
            y = amount * fluorescence * rate / scale
            photons[f"{shell}{final}" if shell == "K" else f"{shell} X"].append((energy - binding_kev(z, final), y))
            holes[final] += y
    _auger(z, shell, amount * rest, holes, electrons)


def _coster_kronig(z: int, shell: str, amount: float, holes: Any, electrons: Any) -> float:
    """Move vacancies within the L shell; returns the probability of doing so."""
    total = 0.0
    for end in {"L1": "23", "L2": "3"}.get(shell, ""):
        f = _xl(xraylib.CosKronTransProb, z, getattr(xraylib, f"FL{shell[1]}{end}_TRANS"))
        total += f
        holes[f"L{end}"] += amount * f
        electrons["L Coster-Kronig"].append((binding_kev(z, shell) - binding_kev(z, f"L{end}"), amount * f))
    return total


def _auger(z: int, shell: str, amount: float, holes: Any, electrons: Any) -> None:
    """Auger electrons of `amount` vacancies in a shell."""
    energy, pairs = binding_kev(z, shell), []
    for name in AUGER:  # "K_L1L3", "L3_M4M5"
        first, _, ejected = name.partition("_")
        if first == shell and len(ejected) == 4:
            pairs.append((ejected[:2], ejected[2:], _xl(xraylib.AugerRate, z, getattr(xraylib, f"{name}_AUGER"))))
    scale = sum(rate for *_, rate in pairs)
    for a, b, rate in pairs:
        left = energy - binding_kev(z, a) - binding_kev(z, b)
        if rate and left > 0:
            y = amount * rate / scale
            family = "K" + "".join("L" if s[0] == "L" else "X" for s in (a, b)) if shell == "K" else "L"
            electrons[f"{family} Auger"].append((left, y))
            holes[a] += y
            holes[b] += y
        elif rate:  # would need more energy than there is: leave it where it is
            electrons["outer-shell Auger"].append((energy, amount * rate / scale))


def subshell_split(shell: str, multipolarity: str | None, mixing: str | None) -> dict[str, float]:
    """Fractions of a shell's conversion electrons by subshell: by multipolarity (M1 + E2 as mixed), else equal."""
    if shell == "K":
        return {"K": 1.0}
    parts = re.findall(r"[EM]\d", multipolarity or "")
    equal = (1 / 3, 1 / 3, 1 / 3)
    weights = SUBSHELLS.get(parts[0], equal) if parts else equal
    if {"M1", "E2"} <= set(parts) and mixing:
        e2 = float(mixing) ** 2 / (1 + float(mixing) ** 2)
        weights = tuple((1 - e2) * m + e2 * e for m, e in zip(SUBSHELLS["M1"], SUBSHELLS["E2"], strict=True))
    return {f"{shell}{n + 1}": w for n, w in enumerate(weights) if w}


# --- nuclear emissions -------------------------------------------------------------------------------------------


def normalisation(data: dict[str, Any], key: str) -> tuple[float, float]:
    """Factor (and relative sd) from an ENSDF relative intensity to yield per decay; ENSDF's are per 100 decays."""
    record = data["decaySchemeNormalization"][0]["productionNormalizationRecord"][0]
    value = record[f"multiplier{key}IntensityBranchingRatioCorrected"]
    return value / 100, record[f"dMultiplier{key}IntensityBranchingRatioCorrected"] / value


def beta_branches(data: dict[str, Any]) -> Iterable[tuple[Any, ...]]:
    """Rows of betas.csv."""
    factor, _ = normalisation(data, "Lepton")
    for level in data["levelScheme"]:
        for b in level.get("betaMinusDecay", []):
            energy, mean = b["endPointBetaMinusEnergy"], b["averageBetaMinusEnergy"]
            forbidden = b.get("forbiddennessClassification") or "notClassified"
            yield_ = b["betaMinusIntensity"] * factor
            if yield_ and energy:
                shape = SHAPES.get(forbidden, "allowed")
                energies = (energy, b["dEndPointBetaMinusEnergy"], mean, b["dAverageBetaMinusEnergy"])
                yields = (yield_, b["dBetaMinusIntensity"] * factor, yield_)
                yield (*energies, *yields, data["daughterAtomicNumber"], level["levelEnergy"], forbidden, shape)


def capture(data: dict[str, Any], out: Emissions) -> float:
    """Vacancies of electron capture; returns the branch's yield."""
    factor, _ = normalisation(data, "Lepton")
    total = 0.0
    z = data["daughterAtomicNumber"]
    for level in data["levelScheme"]:
        for b in level.get("betaPlusDecay", []):
            y, sd = b["electronCaptureIntensity"] * factor, b["dElectronCaptureIntensity"] * factor
            shells = b["calculatedAtomicShellElectronCaptureFractions"][0]
            k = shells["calculatedElectronCaptureFractionAtomicShellK"]
            ell = shells["calculatedElectronCaptureFractionAtomicShellL"]
            # Capture from L is from L1 but for a per cent; what is not K or L is taken as M1.
            parts = {"K": k, "L1": ell, "M1": 1 - k - ell}
            relax(z, {s: (y * f, sd * f) for s, f in parts.items()}, out, f"{data['daughterID']} capture")
            total += y
    return total


@dataclass
class Transition:
    """A gamma transition with its conversion, per decay."""

    energy_kev: float
    energy_sd: float
    yield_: float
    yield_sd: float
    multipolarity: str | None
    coefficients: dict[str, float]
    relative_sd: float
    mixing: str | None = None


def transitions(data: dict[str, Any]) -> Iterable[Transition]:
    """Gamma transitions of a data set, without those that follow a long-lived isomer and without double placements."""
    factor, relative = normalisation(data, "Photon")
    seen = set()
    for level in data["levelScheme"]:
        if any((i["halfLifeConverted"] or 0) > ISOMER_S for i in level["isomerDecay"]):
            continue
        for g in level["gammaDecay"]:
            key = (g["gammaEnergy"], g["gammaIntensity"])
            if not g["gammaIntensity"] or key in seen:
                continue
            seen.add(key)
            y = g["gammaIntensity"] * factor
            sd = y * math.hypot((g["dGammaIntensity"] or 0) / g["gammaIntensity"], relative)
            kind = g["multipolarity"]
            yield Transition(g["gammaEnergy"], g["dGammaEnergy"], y, sd, kind, *conversion(g), g["mixingRatio"])


def conversion(g: dict[str, Any]) -> tuple[dict[str, float], float]:
    """Conversion coefficients by shell and their relative sd (1.5 % where ENSDF gives none: BrIcc's own estimate)."""
    total = g["calculatedTotalInternalConversionCoefficient"] or 0.0
    record = g["calculatedAtomicShellConversionCoefficients"][0]
    stem = "alculatedInternalConversionCoefficientAtomicShell"
    shells = {s: record.get(f"c{stem}{s}") or 0.0 for s in SHELLS}
    summed = sum(shells.values())
    if total and not summed:
        # Only a total is given, for transitions above 1.4 MeV, where part of it is pair creation: taken as K.
        shells["K"], summed = total, total
    relative = (g["dCalculatedTotalInternalConversionCoefficient"] or 0.0) / total if total else 0.0
    return {s: c for s, c in shells.items() if c}, max(relative, 0.015 if summed else 0.0)


def add_transition(name: str, z: int, t: Transition, out: Emissions) -> None:
    """Photon line, conversion electrons and the relaxation after them."""
    label = f"{t.energy_kev:g}"
    coefficients = t.coefficients
    photon = (t.yield_, t.yield_sd)
    if t.multipolarity == "E0":  # no photon; the intensity is that of electrons and pairs
        pair, pair_sd = PAIR.get((name, t.energy_kev), (0.0, 0.0))
        electrons = t.yield_ - pair
        coefficients = {"K": 1.0}
        if pair:
            energy = (t.energy_kev - 2 * ELECTRON_REST_KEV) / 2
            out.electrons += [(energy, None, pair, pair_sd, "pair", f"{label} pair {p}") for p in "-+"]
            out.photons.append(
                (ELECTRON_REST_KEV, 0.0, 2 * pair, 2 * pair_sd, "annihilation", f"{label} pair creation")
            )
        photon = (electrons, math.hypot(t.yield_sd, pair_sd))
    else:
        out.photons.append((t.energy_kev, t.energy_sd, t.yield_, t.yield_sd, "gamma", ""))
    add_conversion(z, t, photon, coefficients, out)


def add_conversion(
    z: int, t: Transition, photon: tuple[float, float], coefficients: dict[str, float], out: Emissions
) -> None:
    """Conversion electrons of a transition whose photon yield (and sd) is `photon`, and what follows them."""
    vacancies = {}
    for shell, coefficient in coefficients.items():
        y = photon[0] * coefficient
        sd = y * math.hypot(photon[1] / photon[0], t.relative_sd)
        for subshell, part in subshell_split(shell, t.multipolarity, t.mixing).items():
            energy = t.energy_kev - binding_kev(z, subshell)
            vacancies[subshell] = (y * part, sd * part)
            out.electrons.append(
                (energy, t.energy_sd, y * part, sd * part, "conversion", f"{t.energy_kev:g} {subshell}")
            )
    relax(z, vacancies, out, f"{t.energy_kev:g}")


def technetium(out: Emissions) -> None:
    """Isomeric transition of 99mTc: no data set of its own in paceENSDF, levels and coefficients from 99Mo decay.

    The photon yield of 140.5 keV is ENSDF's; 2.17 keV feeds it alone; 142.7 keV carries the rest to the ground state.
    """
    gammas = {}
    for level in dataset("Mo99_Tc99")["levelScheme"][:3]:
        for g in level["gammaDecay"]:
            gammas[round(g["gammaEnergy"])] = (g, *conversion(g))
    main, sd = TC99M_GAMMA_YIELD
    alpha = {e: sum(c.values()) for e, (_, c, _) in gammas.items()}
    feeding = main * (1 + alpha[141])
    crossover = TC99M_TO_GROUND - feeding
    for e, y, dy in ((141, main, sd), (2, feeding / (1 + alpha[2]), feeding / alpha[2] * sd / main)):
        g, c, relative = gammas[e]
        kind = g["multipolarity"]
        t = Transition(g["gammaEnergy"], g["dGammaEnergy"], y, dy, kind, c, relative, g["mixingRatio"])
        add_transition("Tc-99m", 43, t, out)
    g, c, relative = gammas[143]
    y = crossover / (1 + alpha[143])
    add_transition("Tc-99m", 43, Transition(g["gammaEnergy"], g["dGammaEnergy"], y, y, "M4", c, relative), out)


def emissions(name: str) -> tuple[Emissions, float]:
    """Everything one nuclide emits, and the yield of its electron capture."""
    out, captured = Emissions(), 0.0
    if name == "Tc-99m":
        technetium(out)
    for stem in NUCLIDES[name]:
        data = load(name, stem)
        out.betas += beta_branches(data)
        captured += capture(data, out)
        for t in transitions(data):
            add_transition(name, data["daughterAtomicNumber"], t, out)
    if name != "Tc-99m":  # one beta or one capture per decay: evaluated yields miss that by up to 0.2 %
        scale = (1 - captured) / sum(b[4] for b in out.betas)
        out.betas = [(*b[:4], b[4] * scale, *b[5:]) for b in out.betas]
    return out, captured


def merged(lines: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Atomic lines of one family summed over the transitions that cause them; nuclear lines as they are."""
    groups: defaultdict[tuple[str, str], list[tuple[Any, ...]]] = defaultdict(list)
    single = []
    for line in lines:
        if line[4] in ("x", "auger"):
            groups[line[4], line[5].split(" ", 1)[1].removeprefix("capture ") + atom(line[5])].append(line)
        else:
            single.append(line)
    for (kind, family), members in groups.items():
        total = sum(m[2] for m in members)
        mean = sum(m[0] * m[2] for m in members) / total
        single.append((mean, None, total, math.sqrt(sum(m[3] ** 2 for m in members)), kind, family))
    return sorted((line for line in single if line[2] > 1e-9), key=lambda line: line[0])


def atom(origin: str) -> str:
    """Tungsten's lines after capture stay apart from osmium's after beta decay."""
    return " (W)" if origin.startswith(("W186", "122.64")) else ""


def text(value: Any) -> str:
    """Seven significant digits; empty for unknown."""
    return "" if value is None else f"{value:.7g}" if isinstance(value, float) else str(value)


def write(name: str, comment: str, header: str, rows: Iterable[Iterable[Any]]) -> None:
    """Table as text: comment lines, a header, rows."""
    with (TABLES / name).open("w", newline="", encoding="utf-8") as stream:
        stream.writelines(f"# {line}\n" for line in comment.splitlines())
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header.split())
        writer.writerows([[text(v) for v in row] for row in rows])


def main() -> None:
    """Write all tables."""
    made = "Made by tools/tables/build_nuclides.py; see sources.toml. Uncertainties are k = 1; empty means unknown."
    nuclides, betas, electrons, photons = [], [], [], []
    for name, stems in NUCLIDES.items():
        out, captured = emissions(name)
        data = load(name, stems[0])
        decay = data["parentDecay"][0]
        half = decay["halfLife"][0]
        spin = decay["spins"][0]
        j, sign = spin["spinReal"], "+" if spin["parity"] > 0 else "-"
        label = f"{j:.0f}{sign}" if j % 1 == 0 else f"{2 * j:.0f}/2{sign}"
        q, q_sd = (142.6836, None) if name == "Tc-99m" else (decay["valueQ"], decay["dValueQ"])
        pair, pair_sd = next((v for (n, _), v in PAIR.items() if n == name), (0.0, 0.0))
        half_life = (half["halfLifeConverted"], half["dHalfLifeConverted"])
        who = (name, data["parentAtomicNumber"], data["parentAtomicMass"])
        nuclides.append((*who, *half_life, label, q, q_sd, captured, pair, pair_sd))
        betas += [(name, *row) for row in sorted(out.betas, reverse=True)]
        electrons += [(name, *row) for row in merged(out.electrons)]
        photons += [(name, *row) for row in merged(out.photons)]
    parents = []
    for name, (stem, daughter) in PARENTS.items():
        data = dataset(stem)
        half = data["parentDecay"][0]["halfLife"][0]
        parents.append((name, daughter, half["halfLifeConverted"], half["dHalfLifeConverted"], branching(name, data)))
    write(
        "nuclides.csv",
        f"Half-life in s, Q value in keV, yields per decay. {made}",
        "name z a half_life_s half_life_sd_s spin_parity q_kev q_sd_kev capture_yield positron_yield positron_yield_sd",
        nuclides,
    )
    write(
        "betas.csv",
        "Beta-minus branches: energies in keV, yield per decay. `yield` is ENSDF's (`ensdf_yield`) scaled so that\n"
        f"each decay has one beta or one capture. `shape` is what the spectrum module uses. {made}",
        "nuclide endpoint_kev endpoint_sd_kev mean_kev mean_sd_kev yield yield_sd ensdf_yield daughter_z level_kev "
        "forbiddenness shape",
        betas,
    )
    for file, rows in (("electrons.csv", electrons), ("photons.csv", photons)):
        write(
            file,
            f"Discrete {file[:-4]}: energy in keV, yield per decay; Auger and L, M X rays grouped. {made}",
            "nuclide energy_kev energy_sd_kev yield yield_sd kind origin",
            rows,
        )
    write(
        "parents.csv",
        f"Generator parents: half-life in s, fraction of decays that feed the daughter. {made}",
        "name daughter half_life_s half_life_sd_s branching",
        parents,
    )


def branching(name: str, data: dict[str, Any]) -> float:
    """Fraction of the parent's decays that reach the daughter (99Mo: everything that enters the 142.7 keV level)."""
    if name != "Mo-99":
        return 1.0
    factor, _ = normalisation(data, "Photon")
    isomer = data["levelScheme"][2]
    into = sum(
        g["gammaIntensity"] * factor * (1 + (g["calculatedTotalInternalConversionCoefficient"] or 0))
        for level in data["levelScheme"]
        for g in level["gammaDecay"]
        if g["levelIndexFinal"] == isomer["levelIndex"]
    )
    return float(into + isomer["betaMinusDecay"][0]["betaMinusIntensity"] / 100)


if __name__ == "__main__":
    main()
