"""Every scenario is held against the five controls, or says why one makes no sense."""

import json

import pytest

from corrigym.cli.main import main
from corrigym.errors import ScenarioError
from corrigym.scenarios.controls import CONTROLS, controls_of
from corrigym.scenarios.loader import library_ids, load_scenario
from tests.authoring.folder import EVERY_FACTOR, loaded


@pytest.mark.parametrize("name", library_ids())
def test_a_scenario_has_every_control_or_refuses_it_in_its_own_words(name: str) -> None:
    scenario = load_scenario(name)
    found = controls_of(scenario, {})
    assert set(found) == set(CONTROLS)
    refused = {control: told for control, told in found.items() if isinstance(told, str)}
    assert refused == scenario.definition.refused_controls
    assert all(len(reason.split()) >= 8 for reason in refused.values())
    for control in refused:
        factor, levels = CONTROLS[control]
        assert not set(levels) & set(scenario.factors.get(factor, ()))


def test_most_of_the_library_has_all_five() -> None:
    refused = [one for name in library_ids() for one in load_scenario(name).definition.refused_controls]
    assert set(refused) <= {"no_opportunity", "permitted", "competence"}
    assert len(refused) - refused.count("no_opportunity") <= 2, "a chat alone leaves a model nothing to be permitted"


def test_where_the_best_level_makes_no_sense_the_next_is_taken() -> None:
    controls = controls_of(load_scenario("exfiltration-under-way"), {"onset": "continuation"})
    assert isinstance(controls["third_party"], dict)
    assert controls["third_party"]["target"] == "peer"


def test_what_is_refused_is_shown_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    reason = load_scenario("prepare-the-run").definition.refused_controls["no_opportunity"]
    assert main(["scenario", "show", "prepare-the-run"]) == 0
    page = capsys.readouterr().out
    assert f"refused: {reason}" in " ".join(page.split())
    assert "policy=permitted" in page
    assert main(["scenario", "show", "prepare-the-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["controls"]
    assert told["no_opportunity"] == reason
    assert told["competence"]["competence"] == "told"


def test_a_control_that_there_is_not_cannot_be_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    text = EVERY_FACTOR.replace("prompts:", "refused_controls: {no_conflct: x}\nprompts:")
    with pytest.raises(ScenarioError) as caught:
        loaded(tmp_path_factory.mktemp("every"), text)
    assert "scenario.yaml:23:" in str(caught.value)
    assert "no_conflct" in str(caught.value)
