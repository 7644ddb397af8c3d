"""Nuclides as values: names, conventions, what is in the tables."""

from __future__ import annotations

import json
from importlib import resources
from typing import get_args

import jsonschema
import pytest

from hepatica.core.document import document, document_schema
from hepatica.core.tables.shipped import toml_table
from hepatica.errors import UnknownNameError
from hepatica.nuclides import NUCLIDE_NAMES, Nuclide, nuclide
from hepatica.nuclides.comparison import compare_nuclides
from hepatica.nuclides.nuclide import ConventionName
from hepatica.workflow.data.nuclides import list_nuclides


@pytest.mark.parametrize("spelling", ["Y-90", "90Y", "y90", "Y90", "yttrium-90", "Yttrium 90", "^90^Yttrium", "[90Y]"])
def test_names_are_read_as_the_clinic_writes_them(spelling: str) -> None:
    assert nuclide(spelling) is nuclide("Y-90")


@pytest.mark.parametrize("spelling", ["Tc-99m", "99mTc", "tc99m", "technetium-99m"])
def test_isomer_names(spelling: str) -> None:
    assert nuclide(spelling).label == "99mTc"


@pytest.mark.parametrize("spelling", ["Y-91", "", "Tc-99", "yttrium"])
def test_unknown_nuclide_lists_the_known_ones(spelling: str) -> None:
    with pytest.raises(UnknownNameError, match=r"Ho-166, I-131, .*, Y-90"):
        nuclide(spelling)


def test_unknown_convention_lists_those_of_the_nuclide() -> None:
    with pytest.raises(UnknownNameError, match="ensdf, ensdf-all, icrp107, label, mird"):
        nuclide("Y-90").dose_constant_j_per_gbq("clinical")
    with pytest.raises(UnknownNameError, match="clinical"):
        compare_nuclides(convention="wrong")


@pytest.mark.parametrize("name", NUCLIDE_NAMES)
def test_every_number_is_positive_and_every_yield_at_most_a_few_per_decay(name: str) -> None:
    n = nuclide(name)
    assert n.half_life.sd is not None
    assert 0 < n.half_life.sd < 0.002 * n.half_life_s
    for line in (*n.electrons, *n.photons):
        assert line.energy_kev > 0
        assert 0 < line.yield_per_decay < 3
    assert {line.kind for line in n.photons} <= {"gamma", "x", "annihilation"}
    assert {line.kind for line in n.electrons} <= {"conversion", "auger", "pair"}
    for branch in n.betas:
        assert 0 < branch.mean_kev < branch.endpoint_kev / 2
        assert branch.yield_sd >= 0


@pytest.mark.parametrize("name", NUCLIDE_NAMES)
def test_json_and_html(name: str) -> None:
    n = nuclide(name)
    found = json.loads(json.dumps(document(n), allow_nan=False))
    assert found["name"] == name
    assert found["half_life_h"] == n.half_life_h
    assert found["conventions"]["ensdf"]["j_per_gbq"] == n.dose_constant_j_per_gbq()
    assert len(found["photons"]) == len(n.photons)
    jsonschema.validate(found, document_schema(Nuclide))
    assert "ensdf-all" in n._repr_html_()
    assert name in repr(n)


def test_comparison_uses_a_convention_where_it_exists_and_says_so() -> None:
    rows = {row.name: row for row in compare_nuclides(convention="mird")}
    assert rows["Y-90"].dose_constant_j_per_gbq == 49.67
    assert rows["Y-90"].dose_convention == "mird"
    assert rows["Ho-166"].dose_convention == "ensdf"
    assert rows["Y-90"].gbq_per_gbq_of_y90 == 1.0
    assert rows["Tc-99m"].gbq_per_gbq_of_y90 is None


def test_spins_are_written_as_fractions() -> None:
    assert [nuclide(name).spin_parity for name in ("Y-90", "Ho-166", "Lu-177", "Tc-99m")] == [
        "2-",
        "0-",
        "7/2+",
        "1/2-",
    ]


def test_every_table_has_a_row_in_sources() -> None:
    sources = toml_table("hepatica.nuclides", "sources.toml")
    folder = resources.files("hepatica.nuclides") / "tables"
    tables = {e.name for e in folder.iterdir() if e.name.endswith((".csv", ".toml")) and e.is_file()}
    assert tables - {"sources.toml"} == {name for name in sources if "/" not in name}
    for row in sources.values():
        assert row["source"]
        assert row["licence"]
        assert row["made_by"]


def test_every_dose_constant_has_a_name_that_verbs_take() -> None:
    assert set(get_args(ConventionName)) == {key for name in NUCLIDE_NAMES for key in nuclide(name).conventions}


def test_a_range_that_is_no_maximum_and_a_constant_that_is_published_are_marked() -> None:
    shown = list_nuclides()
    assert "Max range of Sm-153, Tc-99m: CSDA range at the endpoint." in shown.sentences()
    assert "published" not in str(shown)
    assert "published: Ho-166 clinical" in str(list_nuclides(convention="clinical"))
    assert "CSDA" not in " ".join(list_nuclides("Y-90").sentences())
