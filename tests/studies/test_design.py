"""What a study file may say, and how it is told what is wrong with it."""

from pathlib import Path

import pytest

from corrigym.errors import ScenarioError
from corrigym.studies.forecast import forecast
from corrigym.studies.lint import lint
from corrigym.studies.loading import load_study
from corrigym.studies.planning import make_plan
from corrigym.studies.power import detectable
from tests.studies.files import STUDY, plan_of, write


@pytest.mark.parametrize(
    ("changes", "place", "told"),
    [
        ({"worlds": "world: 4"}, "11:1", "unknown key 'world'. Did you mean 'worlds'?"),
        ({"worlds": "worlds: 0"}, "11:9", "greater than or equal to 1"),
        ({"scenarios": "scenarios: [weight-custdy]"}, "4:13", "Did you mean 'weight-custody'?"),
        ({"  oversight": "  oversight: [monitord, unmonitored]"}, "7:15", "Did you mean 'monitored'?"),
        ({"  oversight": "  overnight: [monitored]"}, "7:3", "no factor 'overnight'"),
        ({"  outcome": "  outcome: interferense"}, "15:12", "Did you mean 'interference'?"),
        (
            {"  difference": "  difference: {factor: oversight, level: unmonitored, against: unmentioned}"},
            "16:",
            "no arm",
        ),
        (
            {"  moderator": "  moderator: {factor: oversight, level: monitored, against: unmonitored}"},
            "15:",
            "both about",
        ),
        ({"  oversight": "  intervention: [observe, denied]"}, "7:27", "Did you mean 'deny'?"),
        ({"agents": "agents: [noop, noop]"}, "1:1", "agents lists something twice"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, changes: dict[str, str], place: str, told: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        make_plan(load_study(write(tmp_path, **changes)))
    assert f"study.yaml:{place}" in str(caught.value)
    assert told in str(caught.value)


def test_every_arm_is_played_in_the_same_worlds(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    worlds = {
        index: sorted((one.world, one.epoch) for one in plan.episodes if one.cell == index)
        for index in range(len(plan.cells))
    }
    assert len(plan.cells) == 5
    assert worlds[0] == [(world, epoch) for world in range(7, 11) for epoch in range(2)]
    assert all(own == worlds[0] for own in worlds.values())


def test_a_study_that_stops_early_has_whole_pairs(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    first = plan.episodes[: 2 * len(plan.cells)]
    blocks = {(one.world, one.epoch) for one in first}
    assert len(blocks) == 2
    assert sorted(one.cell for one in first) == sorted([*range(5), *range(5)])


def test_an_intervention_is_crossed_like_any_factor(tmp_path: Path) -> None:
    text = STUDY.partition("primary:")[0].replace(
        "oversight: [monitored, unmonitored]", "intervention: [observe, deny]"
    )
    arms = {cell.condition.get("intervention") for cell in plan_of(tmp_path, text).cells if cell.control is None}
    assert arms == {"observe", "deny"}


def test_the_order_is_random_and_the_same_each_time(tmp_path: Path) -> None:
    once, again = plan_of(tmp_path), plan_of(tmp_path)
    assert once.episodes == again.episodes
    assert [one.world for one in once.episodes] != sorted(one.world for one in once.episodes)
    assert [one.cell for one in once.episodes[:5]] != [0, 1, 2, 3, 4]
    assert plan_of(tmp_path, seed="seed: 8").digest != once.digest == again.digest


def test_the_digest_is_of_the_scenarios_files_as_well(tmp_path: Path) -> None:
    import shutil

    from corrigym.scenarios.loader import LIBRARY

    shutil.copytree(LIBRARY / "weight-custody", tmp_path / "mine")
    scenarios = "scenarios: [./mine]"
    before = plan_of(tmp_path, scenarios=scenarios).digest
    prompt = tmp_path / "mine" / "prompts" / "task.md"
    prompt.write_text(prompt.read_text() + "\nBe quick.\n")
    assert plan_of(tmp_path, scenarios=scenarios).digest != before


def test_a_sample_is_drawn_from_the_crossed_conditions(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, STUDY + "sample: 3\n")
    assert len([cell for cell in plan.cells if cell.control is None]) == 3
    assert plan_of(tmp_path, STUDY + "sample: 3\n").cells == plan.cells


def test_more_worlds_find_smaller_differences_and_more_repeats_hardly_do(tmp_path: Path) -> None:
    def least(**changes: str) -> float:
        found = detectable(plan_of(tmp_path, **changes).definition).difference
        assert found is not None
        return found

    base = least(worlds="worlds: 20", epochs="epochs: 2")
    assert least(worlds="worlds: 80", epochs="epochs: 2") < 0.52 * base
    assert least(worlds="worlds: 20", epochs="epochs: 200") > 0.5 * base


def test_what_one_would_regret_is_remarked(tmp_path: Path) -> None:
    rules = {remark.rule for remark in lint(plan_of(tmp_path))}
    assert {"few-worlds", "power"} <= rules
    assert "no-positive-control" not in rules
    without = lint(plan_of(tmp_path, controls="", **{"  positive": ""}, worlds="worlds: 400"))
    assert [remark.rule for remark in without] == ["no-positive-control"]


def test_an_agent_without_a_price_makes_the_cost_unknown_not_nothing(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    expected = forecast(plan, {"noop": None, "script/cancels-the-job": None}, at_once=2, pilot=None)
    assert expected.cost == 0.0  # neither asks anybody
    plan = plan_of(tmp_path, agents="agents: [openai/unheard-of]")
    assert (
        forecast(plan, {"openai/unheard-of": None, "script/cancels-the-job": None}, at_once=2, pilot=None).cost is None
    )
