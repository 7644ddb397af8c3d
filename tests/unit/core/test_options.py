"""Options: declared once, read from text and TOML, refused in one sentence."""

from __future__ import annotations

import copy
import pickle
import tomllib
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import pytest

import hepatica
from hepatica.core.options import (
    Fraction,
    Limits,
    Positive,
    Text,
    Unit,
    from_texts,
    from_toml,
    option_schema,
    options,
    options_of,
    parameters,
    toml_template,
    verb,
)
from hepatica.errors import InputError, UnitError, UnknownNameError
from hepatica.front_door import VERBS


def _roles(texts: Sequence[str]) -> Mapping[str, str]:
    return dict(text.split("=") for text in texts)


@options
class Iteration:
    """How counts become an image.

    Attributes
    ----------
    method : {"osem", "mlem"}
        Algorithm; osem is
        faster.
    iterations, subsets : int
        Over all views.
    """

    method: Literal["osem", "mlem"] = "osem"
    iterations: Annotated[int, Limits(low=1)] = 10
    subsets: int = 6


@options
class Given:
    """What the patient received.

    Attributes
    ----------
    administered_bq : float
        Activity.
    administered_at : datetime or None
        When.
    lung_shunt : float
        Share.
    voxels : {"activity", "ct"} or float
        Of the dose.
    structure_roles : mapping or None
        What a structure is.
    iteration : Iteration
        Nested.
    """

    administered_bq: Positive
    administered_at: datetime | None = None
    lung_shunt: Fraction = 0.0
    voxels: Annotated[Literal["activity", "ct"] | float, Unit("mm")] = "activity"
    structure_roles: Annotated[Mapping[str, str] | None, Text(_roles, "NAME=ROLE", whole=True)] = None
    iteration: Iteration = Iteration()


@verb
def treat(
    images: Path | str | Sequence[Path | str],
    *,
    nuclide: str = "Y-90",
    spacing_mm: tuple[float, float, float] | None = None,
    given: Given,
    progress: object = None,
) -> dict[str, object]:
    """Treat a patient.

    Parameters
    ----------
    images : path
        Images.
    nuclide : str
        Nuclide.
    spacing_mm : tuple
        Voxels.
    given : Given
        What was given.
    """
    return {"images": images, "nuclide": nuclide, "spacing": spacing_mm, "given": given}


def test_every_option_is_found_with_help_group_and_unit() -> None:
    found = {option.word: option for option in options_of(treat)}
    assert list(found)[:4] == ["images", "nuclide", "spacing", "administered"]
    assert "progress" not in found
    assert found["administered"].form.unit == "Bq"
    assert found["administered"].required
    assert found["administered"].group == "What the patient received"
    assert found["method"].help == "Algorithm; osem is faster."
    assert found["subsets"].help == "Over all views."
    assert found["images"].form.many
    assert found["voxels"].form.word == "activity, ct, or a quantity in mm"


def test_texts_become_values() -> None:
    call = from_texts(
        treat,
        {
            "images": ["a", "b"], "administered": "2.1 GBq", "administered_at": "2026-03-02T10:00",
            "lung_shunt": "5 %", "voxels": "3 mm", "structure_roles": ["ROI 3=liver"], "iterations": "1e1",
            "spacing": "1 x 2 x 3 mm",
        },
    )  # fmt: skip
    answer = treat(**call)
    given = answer["given"]
    assert isinstance(given, Given)
    assert answer["images"] == (Path("a"), Path("b"))
    assert answer["spacing"] == (1.0, 2.0, 3.0)
    assert (given.administered_bq, given.lung_shunt, given.voxels) == (2.1e9, 0.05, 3.0)
    assert given.administered_at == datetime(2026, 3, 2, 10)
    assert given.structure_roles == {"ROI 3": "liver"}
    assert given.iteration == Iteration(iterations=10)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"images": "a", "administered": "2.1"}, "has no unit"),
        ({"images": "a", "administered": "2.1 Gy"}, "cannot be converted to Bq"),
        ({"images": "a", "administered": "0 Bq"}, "`administered_bq` must be positive, not 0"),
        ({"images": "a"}, "needs `administered`"),
        ({"images": "a", "administred": "1 Bq"}, "did you mean `administered`"),
        ({"images": "a", "administered": "1 Bq", "method": "osen"}, "did you mean osem"),
        ({"images": "a", "administered": "1 Bq", "iterations": "2.5"}, "not a whole number"),
        ({"images": "a", "administered": "1 Bq", "iterations": "0"}, "at least 1"),
        ({"images": "a", "administered": "1 Bq", "spacing": "1, 2 mm"}, "3 are needed"),
        ({"images": "a", "administered": "1 Bq", "voxels": "cd"}, "unknown `voxels` .cd.; known: activity, ct"),
        ({"images": "a", "administered": "1 Bq", "lung_shunt": "5"}, "if you mean percent"),
    ],
)
def test_bad_text_is_one_clear_sentence(texts: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        treat(**from_texts(treat, texts))
    assert "\n" not in str(caught.value)


def test_python_refuses_the_same() -> None:
    with pytest.raises(InputError, match="Given has no option `administred_bq`; did you mean `administered_bq`"):
        Given(administred_bq=1.0)  # type: ignore[call-arg]
    with pytest.raises(InputError, match="Given needs `administered_bq`"):
        Given()  # type: ignore[call-arg]
    with pytest.raises(UnitError, match="a number in Bq, not '2 GBq'"):
        Given(administered_bq="2 GBq")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="did you mean mlem"):
        Iteration(method="mlme")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="treat has no option `nuclid`; did you mean `nuclide`"):
        treat("a", nuclid="Y-90", given=Given(administered_bq=1.0))  # type: ignore[call-arg]
    with pytest.raises(InputError, match=r"treat: `given` is Given\(...\), not 3"):
        treat("a", given=3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="treat needs `given`"):
        treat("a")  # type: ignore[call-arg]


def test_toml_names_file_line_and_key(tmp_path: Path) -> None:
    file = tmp_path / "treat.toml"
    file.write_text('images = "a"\n\n[given]\nadministered = "2 GBq"\nlung-shunt = 0.1\niterations = 3\n')
    call = from_texts(treat, from_toml(treat, file))
    assert call["given"] == Given(administered_bq=2e9, lung_shunt=0.1, iteration=Iteration(iterations=3))
    file.write_text('images = "a"\n\n[given]\nadministered = "2 Gy"\n')
    with pytest.raises(InputError, match=r"treat.toml, line 4: administered: .*cannot be converted"):
        from_toml(treat, file)
    file.write_text('images = "a"\nlungshunt = 3\n')
    with pytest.raises(InputError, match=r"treat.toml, line 2: lungshunt: .*did you mean `lung_shunt`"):
        from_toml(treat, file)
    file.write_text("images = \n")
    with pytest.raises(InputError, match=r"treat.toml: not a TOML file"):
        from_toml(treat, file)


def test_the_template_is_toml_with_every_option(tmp_path: Path) -> None:
    text = toml_template(treat)
    for option in options_of(treat):
        assert f"# {option.word} = " in text
    file = tmp_path / "filled.toml"
    file.write_text(text.replace("# images = ", 'images = "a"').replace("# administered = ", 'administered = "1 Bq"'))
    assert from_toml(treat, file) == {"images": str(tmp_path / "a"), "administered": "1 Bq"}


def test_schema_and_parameters() -> None:
    schema = option_schema(treat)
    assert schema["required"] == ["images", "administered"]
    assert schema["properties"]["method"]["enum"] == ["osem", "mlem"]
    assert parameters(Given(administered_bq=1.0), nuclide="Y-90") == {
        "administered_bq": 1.0, "lung_shunt": 0.0, "voxels": "activity", "method": "osem", "iterations": 10,
        "subsets": 6, "nuclide": "Y-90",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('administered = "1 Bq"\nimages = "a"\nlung_shunt = 0.1\nlung-shunt = 0.2\n', "line 4: lung-shunt: stands in"),
        ('images = "a"\n[given]\nadministered = "1 Bq"\n[iteration]\nadministered = "2 Bq"\n', "line 5: administered:"),
        (
            'images = "a"\n[givn]\nadministered = "1 Bq"\n',
            "line 2: givn: no heading of this verb; .*did you mean `given`",
        ),
        ('images = "a"\nnuclide = ["Y-90"]\n', "line 2: nuclide: .* is one text"),
        ('images = "a"\nspacing = "4"\n', "line 2: spacing: .*has no unit"),
    ],
)
def test_toml_never_lets_the_last_one_win(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "treat.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        from_toml(treat, file)


def test_python_checks_every_kind() -> None:
    with pytest.raises(InputError, match=r"`iterations` is a whole number, not 1\.5"):
        Iteration(iterations=1.5)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="`spacing_mm` is 3 numbers, not 2"):
        treat("a", spacing_mm=(1.0, 2.0), given=Given(administered_bq=1.0))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="is an instant"):
        Given(administered_bq=1.0, administered_at="2026-03-02")  # type: ignore[arg-type]
    roles = {"a": "liver"}
    kept = Given(administered_bq=1.0, structure_roles=roles)
    roles["a"] = "tumour"
    assert kept.structure_roles == {"a": "liver"}


def test_every_default_of_every_template_is_read_back() -> None:
    for found in VERBS:
        function = found.load()
        for option in options_of(function):
            line = next(text for text in toml_template(function).splitlines() if text.startswith(f"# {option.word} = "))
            value = line.removeprefix(f"# {option.word} = ")
            if value:
                option.form.read(tomllib.loads(f"x = {value}")["x"], option.word)


def test_one_number_may_stand_for_the_edges_of_a_cube() -> None:
    from hepatica.anatomy.virtual_patient import VirtualCtOptions

    assert VirtualCtOptions(spacing_mm=6) == VirtualCtOptions(spacing_mm=(6.0, 6.0, 6.0))
    for wrong in (0.1, (6.0, 6.0), "6 mm", True):
        with pytest.raises(InputError, match="`spacing_mm`"):
            VirtualCtOptions(spacing_mm=wrong)  # type: ignore[arg-type]


def test_options_with_a_mapping_can_be_copied_and_sent_to_another_process() -> None:
    stated = hepatica.DensityOptions(structure_density={"liver": 1.06})
    for again in (pickle.loads(pickle.dumps(stated)), copy.deepcopy(stated)):
        assert again == stated
        assert again.structure_density is not None
        with pytest.raises(TypeError):
            again.structure_density["liver"] = 1.0  # type: ignore[index]
