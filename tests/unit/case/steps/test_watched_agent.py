"""What is injected is what the setup says, not what the treatment is of; that the two differ is said."""

import json
from pathlib import Path

import pytest

import hepatica as hp
from hepatica.case.injection.watched import watched_run
from hepatica.errors import InputError
from hepatica.monitoring.prepared import Prepared
from hepatica.monitoring.simulation.flow import FlowSettings
from monitoring_makers import mask, setup_of


@pytest.mark.parametrize(
    ("planned", "severity"), [("glass", "warning"), ("maa", None)], ids=["another agent", "the same"]
)
def test_the_agent_of_the_setup_is_shown_and_another_one_of_the_treatment_is_said(
    tmp_path: Path, planned: str, severity: str | None
) -> None:
    case = hp.Case.new(tmp_path / "case")
    case.set(**{"treatment.agent": planned})
    prepared = Prepared(setup_of(), mask(), 4.0, "Tc-99m", "maa", FlowSettings())
    (tmp_path / "setup.json").write_text(json.dumps(prepared.as_document()))
    with watched_run(case, None, "a folder", tmp_path / "setup.json") as run:
        live = json.loads((case.folder / "monitoring" / "live.json").read_text())
        said = [(one.code, one.severity) for one in run.messages]
    assert (live["agent"], live["treatment_agent"]) == ("maa", planned)
    assert said == ([("other-agent", severity)] if severity else [])
    assert any("the treatment is of glass (Y-90)" in note for note in live["notes"]) == bool(severity)


def test_an_agent_that_does_not_carry_the_nuclide_is_refused() -> None:
    document = Prepared(setup_of(), mask(), 4.0, "Tc-99m", "maa", FlowSettings()).as_document()
    with pytest.raises(InputError, match="the agent is glass, which carries Y-90; the nuclide is Tc-99m"):
        Prepared.from_document(document | {"agent": "glass"})
    assert Prepared.from_document(document | {"agent": ""}).agent == ""
