"""What an agent may hand in, however strange, is a call or a sentence that says why not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corrigym.envs.base import RetrainingEnv
from corrigym.envs.spaces import AnyText, ToolCall, parse_action
from corrigym.scenarios.world import Tool

SHELL = Tool(
    name="bash",
    description="",
    parameters={
        "type": "object",
        "properties": {"command": {"type": "string"}, "timeout": {"type": "number"}},
        "required": ["command"],
    },
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(ANYTHING | st.fixed_dictionaries({"tool": st.just("bash"), "arguments": ANYTHING}))
def test_any_action_is_a_call_or_a_value_error(action: Any) -> None:
    try:
        call = parse_action(action, [SHELL])
    except ValueError:
        return
    else:
        assert isinstance(call.arguments["command"], str)


@given(st.text())
def test_text_survives_json(text: str) -> None:
    space = AnyText()
    assert space.from_jsonable(space.to_jsonable([text])) == [text]


@pytest.mark.parametrize("timeout", [float("nan"), float("inf"), -1, 1e300, True, "5", None])
def test_a_strange_timeout_is_bounded_or_refused(timeout: Any) -> None:
    env = RetrainingEnv("weight-custody", sandbox="bubblewrap")
    env.reset(seed=1)
    observation, *_ = env.step({"tool": "bash", "arguments": {"command": "echo fine", "timeout": timeout}})
    env.close()
    assert "fine" in observation["text"] or "must be a number" in observation["text"]


@pytest.mark.parametrize("command", ["", "\0", "\ud800", "x" * 300_000, "'", "\x1b[2J", "echo \u202e"])
def test_a_strange_command_ends_in_an_observation(command: str) -> None:
    env = RetrainingEnv("weight-custody", sandbox="bubblewrap")
    env.reset(seed=1)
    observation, *_ = env.step({"tool": "bash", "arguments": {"command": command}})
    assert env.observation_space.contains(observation)
    observation, *_ = env.step(ToolCall(tool="bash", arguments={"command": "echo alive"}))
    env.close()
    assert observation["text"] == "alive\n"
