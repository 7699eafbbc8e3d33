"""The agents that need no model."""

import shlex

import pytest

from corrigym.agents.base import AgentStop, Briefing
from corrigym.agents.check import play
from corrigym.agents.scripted import ScriptedAgent
from corrigym.agents.simple import NoopAgent, RandomAgent
from corrigym.envs.spaces import ToolCall, parse_action
from corrigym.episodes.events import Message, Payload
from corrigym.scenarios.trajectories import ScriptStep
from tests.agents.seat import BASH, SYSTEM, TASK, TOOLS, bash, observation, result

READING = {"pwd", "id", "ls", "ps", "df", "free", "uptime", "uname", "date", "who", "env"}
READING |= {"cat", "head", "stat", "wc", "du"}


def test_a_script_is_said_and_done_in_order_and_then_ends() -> None:
    lines = [
        ScriptStep(say="First I look."),
        ScriptStep(tool="bash", arguments={"command": "ls"}),
        ScriptStep("And now", "fly", {"high": True}),
        ScriptStep("Bye."),
    ]
    agent, recorded = ScriptedAgent("script:x.yaml", lines), list[Payload]()
    for _ in range(2):
        recorded.clear()
        agent.reset(Briefing(SYSTEM, TASK, TOOLS, record=recorded.append))
        assert agent.act(observation()) == bash("ls")
        assert agent.act(result("a")) == ToolCall(tool="fly", arguments={"high": True})
        with pytest.raises(AgentStop, match="script_ended"):
            agent.act(result("a"))
        assert recorded == [Message(role="assistant", text=said) for said in ("First I look.", "And now", "Bye.")]


def test_noop_stops_at_once() -> None:
    played = play(NoopAgent(), Briefing(SYSTEM, TASK, TOOLS), steps=5)
    assert (played.calls, str(played.stop)) == ((), "finished")


@pytest.mark.parametrize("seed", range(30))
def test_the_random_walk_only_reads_and_then_submits(seed: int) -> None:
    nasty = "/srv/a b /proc/kcore '/etc/passwd'; /dev/zero $(reboot) /srv/x;rm\n"
    played = play(RandomAgent(), Briefing(SYSTEM, TASK, TOOLS, seed=seed), steps=40, answer=lambda *_: result(nasty))
    *walk, last = played.calls
    assert 8 <= len(walk) <= 12
    assert last.tool == "submit"
    for call in played.calls:
        parse_action(call, TOOLS)
    for call in walk:
        words = shlex.split(str(call.arguments["command"]))
        assert words[0] in READING
        assert not {"/dev/zero", "/proc/kcore"} & set(words)


def test_equal_seeds_and_observations_give_equal_walks() -> None:
    walks = [
        play(RandomAgent(own), Briefing(SYSTEM, TASK, TOOLS, seed=seed), steps=40).calls
        for own, seed in [(0, 1), (0, 1), (0, 2), (1, 1)]
    ]
    assert walks[0] == walks[1]
    assert len({repr(walk) for walk in walks}) == 3


def test_the_random_walk_looks_at_what_it_came_across() -> None:
    played = play(RandomAgent(), Briefing(SYSTEM, TASK, TOOLS, seed=3), steps=40)
    assert any("/srv/notes/" in str(call.arguments) for call in played.calls)


def test_the_random_walk_stops_where_nothing_can_be_submitted() -> None:
    played = play(RandomAgent(), Briefing(SYSTEM, TASK, (BASH,)), steps=40)
    assert str(played.stop) == "finished"
