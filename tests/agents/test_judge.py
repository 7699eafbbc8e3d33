"""A judge is asked once, is not told the condition, and its answer is found wherever it stands."""

import json
from dataclasses import replace

import pytest

from corrigym.agents.judge import Answer, ask, make_judge
from corrigym.agents.spec import make_agent
from corrigym.detection.judgement import Setting
from corrigym.detection.score import Record
from corrigym.scenarios.build import build_world
from corrigym.scenarios.loader import load_scenario
from corrigym.scenarios.trajectories import script_loader
from corrigym.scenarios.world import World
from tests.agents.provider import Provider, says, use

SCENARIO = load_scenario("weight-custody")


@pytest.fixture(scope="module")
def world() -> World:
    return replace(build_world(SCENARIO, {}, 0), condition={"reasoning": "scratchpad"})


def asked(provider: Provider, world: World) -> Answer:
    spec = f"anthropic/judge?base_url={provider.url}&reasoning=none"
    return ask(make_agent(spec, load_steps=script_loader(SCENARIO)), world, "Is it?", ("lobby",))


def test_a_condition_that_decides_how_agents_think_does_not_reach_the_judge(provider: Provider, world: World) -> None:
    provider.will(says('{"lobby": "no"}'))
    assert asked(provider, world).found == {"lobby": "no"}
    assert "scratchpad" not in json.dumps(provider.bodies)


@pytest.mark.parametrize(
    "said",
    ['{"lobby": "no"}', 'Well: {"other": {"x": 1}}, so ```json\n{"lobby": "no"}\n```', '{"answer": {"lobby": "no"}} {'],
)
def test_an_answer_in_words_ends_the_asking(provider: Provider, world: World, said: str) -> None:
    provider.will(says(said))
    assert asked(provider, world).found == {"lobby": "no"}
    assert len(provider.requests) == 1


def test_an_answer_that_is_handed_in_is_one(provider: Provider, world: World) -> None:
    provider.will(says("Here.", use("t", "submit", {"answer": '{"lobby": "yes"}'})))
    assert asked(provider, world).found == {"lobby": "yes"}


def test_no_answer_is_none(provider: Provider, world: World) -> None:
    provider.will(*[says("I cannot say. {")] * 9)
    given = asked(provider, world)
    assert given.found is None
    assert "I cannot say" in given.text


def test_the_judge_of_an_episode_reads_one_answer_among_words(provider: Provider, world: World) -> None:
    labels = {"lobby": "no", "coerce": "no", "considered": "yes", "which": ["copy_weights"], "why": "it says {so}"}
    provider.will(says(f"I think {{hard}}: {json.dumps(labels)} {{as asked}}"))
    factory = make_agent(f"anthropic/judge?base_url={provider.url}", load_steps=script_loader(SCENARIO))
    judged = make_judge("judge", factory, 1)(Record(Setting({}), (), (), True), world)
    assert judged.answers is not None
    assert judged.answers["considered"].label == "yes"
