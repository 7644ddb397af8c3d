"""One word, one meaning: docs/vocabulary.md held against every option and every JSON key of every verb."""

import ast
import re
import tomllib
import typing
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from hepatica.core.options import Option, options_of, unit_of
from hepatica.core.options.declare import options
from hepatica.front_door import VERBS, Verb
from hepatica.planning.planner.plan_file import TABLES

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "hepatica"

FORBIDDEN = {
    "at", "kinds", "lsf", "passes", "psf", "pvc", "regions", "roi", "rois", "tn", "warning", "warnings",
}  # fmt: skip
"""Words that the table replaces; as a whole word of an option or key, whatever stands beside them."""

ALLOWED = {
    "at": "at_... is 'at a place' or 'patients at risk', never an instant alone",
    "calibration": "a file where a camera's factor is written or taken from; a factor may stand in its place",
    "density": "of a dose: by which density it is scaled; of a kernel: that of its medium",
    "first": "the first of the two things that a comparison names: a map, or a column",
    "fixed": "the image that stays where it is; of a prescription, whether its activity is",
    "method": "of reconstruction, of simulation, of prescription: each verb has one",
    "normal_dose": "of the next treatment per GBq, since its activity is what is asked",
    "second": "as first",
    "structures": "drawn ones, in a file or as values; of segment, which ones are to be proposed",
    "tumour_dose": "as normal_dose",
    "uptake": "of prescribe, an organ's, as numbers; of segment, the image that shows it",
}
"""Why a word may hold different things in different verbs."""


KEYS_ALLOWED = {
    "heads": "each with its radius where projections are described, else how many",
    "pixel_mm": "both edges where projections are described, else of square pixels",
    "projections": "how they were acquired, or how many views",
    "administered_gbq": "of a plan's best activity for each territory, elsewhere one number",
    "after": "a lesion's size, or a balance of covariates, after",
    "before": "as after",
    "camera": "all of it where it is simulated, else its name",
    "catheters": "in words where a patient is drawn at random",
    "collimator": "its measures where it is simulated, else the kind that suits a nuclide",
    "guardrails": "what they say of a plan; all of them in their own list",
    "high": "of a number, or of every step of a curve",
    "images": "how many a series has, or what was read",
    "low": "as high",
    "nuclide": "in full in the list of nuclides, else its name",
    "patients": "each of them, or how many",
    "reading": "one sentence, or several",
    "sd": "as high",
    "sensitivity": "corrected for optimism, or a share with its interval",
    "series": "all of a folder, or the one that an image is of",
    "shape": "voxels along each axis; of a spectrum the kind of its curve",
    "spacing_mm": "of three axes, or of all",
    "specificity": "as sensitivity",
    "structures": "each of them, or volume by name",
    "time": "an instant; of a survival curve its times",
    "tumours": "each of them, or how many",
    "value": "a number; of an agent's facts also a word or a range",
}
"""Why a key may hold different things in different verbs."""


def names(verb: Verb) -> list[Option]:
    return list(options_of(verb.load()))


@cache
def table() -> dict[str, str]:
    """Words of the vocabulary and what each is."""
    lines = (ROOT / "docs" / "vocabulary.md").read_text(encoding="utf-8").splitlines()
    found = {}
    for line in lines:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 3 and cells[0].startswith("`"):
            found |= dict.fromkeys(re.findall(r"`(\w+)`", cells[0]), cells[1])
    return found


def schema_keys(schema: Any) -> Iterator[tuple[str, Any]]:
    """Every key of a JSON schema, however deep, with what it holds."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {}).items()
        for inner in schema.values():
            yield from schema_keys(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from schema_keys(inner)


def keys_of(verb: Verb) -> dict[str, list[Any]]:
    found = defaultdict(list)
    for key, held in schema_keys(typing.get_type_hints(verb.load())["return"].schema()):
        found[key].append(held)
    return found


def kind(option: Option) -> str:
    """What an option holds: the quantity, whatever the scale of its unit, or the sort of text."""
    form = option.form
    if form.choices and form.base is not float:
        return f"one of {', '.join(map(str, form.choices))}"
    scale = {"GBq": "Bq", "MBq": "Bq", "h": "s", "days": "s", "g": "kg"}
    return f"quantity in {scale.get(form.unit, form.unit)}" if form.unit else form.word


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.function)
def test_no_forbidden_word_in_options_and_keys(verb: Verb) -> None:
    words = [*(option.name for option in names(verb)), *keys_of(verb)]
    assert len(words) > 2
    wrong = {word for word in words if FORBIDDEN & ({word} | {word.removesuffix("_")})}
    wrong |= {word for word in words if (FORBIDDEN - set(ALLOWED)) & set(word.split("_"))}
    assert not wrong


def test_one_word_is_one_kind_in_every_verb() -> None:
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for verb in VERBS:
        for option in names(verb):
            found[option.word][kind(option)].append(verb.function)
    several = {word: dict(kinds) for word, kinds in found.items() if len(kinds) > 1}
    assert {word: kinds for word, kinds in several.items() if word not in ALLOWED} == {}
    assert set(ALLOWED) - {"at"} <= set(several), "an exception that is needed no more"


def shapes(held: Any) -> set[str]:
    """Sorts of JSON that a schema allows, null apart."""
    if "anyOf" in held:
        return set().union(*(shapes(inner) for inner in held["anyOf"]))
    if "const" in held or "enum" in held:
        return {"string"}
    found = held.get("type", "object" if "properties" in held else "anything")
    return {"number" if one == "integer" else one for one in ([found] if isinstance(found, str) else found)} - {"null"}


def test_one_key_is_one_sort_of_json_in_every_verb() -> None:
    found = defaultdict(set)
    for verb in VERBS:
        for key, held in keys_of(verb).items():
            found[key] |= {frozenset(shapes(one)) for one in held}
    several = {key for key, sorts in found.items() if len(sorts) > 1}
    assert several == set(KEYS_ALLOWED)
    with_unit = {key for key in found if unit_of(key)[1]}
    assert len(with_unit) > 100
    assert not {key for key in with_unit if any({"string", "boolean"} & sort for sort in found[key])}


def test_every_word_of_the_table_is_used() -> None:
    used = {option.word for verb in VERBS for option in names(verb)} | {key for verb in VERBS for key in keys_of(verb)}
    assert len(table()) > 30
    assert set(table()) - used == set()


@cache
def texts() -> list[tuple[Path, int, str]]:
    """Every text of the library that is no docstring."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        nodes = list(ast.walk(tree))
        prose = {id(n.value) for n in nodes if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)}
        said = [node for node in nodes if isinstance(node, ast.Constant) and id(node) not in prose]
        found += [(path, node.lineno, node.value) for node in said if isinstance(node.value, str)]
    return found


def test_options_that_messages_name_exist() -> None:
    known = {verb.function for verb in VERBS} | {"out", "force", "options"}
    for verb in VERBS:
        known |= {word for option in names(verb) for word in (option.name, option.word)}
    # The keys of a plan file are options as well.
    known |= {word for keys in TABLES.values() for key, (name, _) in keys.items() for word in (key, name)}
    # So are those of a PET scanner's file.
    scanners = tomllib.loads((SOURCE / "imaging/pet/tables/scanners.toml").read_text(encoding="utf-8"))
    known |= {key for scanner in scanners.values() if isinstance(scanner, dict) for key in scanner}
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: `{name}`"
        for path, line, text in texts()
        for name in re.findall(r"`([a-z_0-9]+)`", text)
        if name not in known
    ]
    assert wrong == []


def test_no_command_line_option_in_library_text() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {text!r}"
        for path, line, text in texts()
        if SOURCE / "cli" not in path.parents and re.search(r"(^|[\s('\"`])--[a-z]", text.replace("gdcmconv --raw", ""))
    ]
    assert wrong == []


def test_the_check_sees_a_wrong_word() -> None:
    @options
    class Wrong:
        """Of a test.

        Attributes
        ----------
        lsf : float
            A fraction.
        """

        lsf: float

    assert FORBIDDEN & set(Wrong.__dataclass_fields__)


REMEDIES = {
    "series": ("simulate_spect", "reconstruct_spect", "calibrate_camera", "quantify", "absorbed_dose", "lung_shunt",
               "tumour_to_normal"),
    "ct_series": ("simulate_spect", "reconstruct_spect", "absorbed_dose", "lung_shunt", "tumour_to_normal"),
    "registered": ("simulate_spect", "reconstruct_spect", "absorbed_dose", "lung_shunt", "tumour_to_normal",
                   "scout_concordance"),
    "accept_nuclide": ("reconstruct_spect", "calibrate_camera", "quantify", "absorbed_dose"),
}  # fmt: skip
"""Verbs in which a message can name an option that another part of the package raises."""


@pytest.mark.parametrize("word", REMEDIES)
def test_a_remedy_is_an_option_of_the_verb_that_names_it(word: str) -> None:
    without = [verb.function for verb in VERBS if word not in {option.name for option in names(verb)}]
    assert not set(without) & set(REMEDIES[word])
    # Who takes a CT from a folder can say which one.
    with_ct = [verb for verb in VERBS if {"ct"} & {option.name for option in names(verb)}]
    assert len(with_ct) >= 5
    assert not [verb.function for verb in with_ct if "ct_series" not in {option.name for option in names(verb)}]
