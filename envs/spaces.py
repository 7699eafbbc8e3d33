"""What goes into `step` and what comes out of it."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias, TypedDict, cast

import gymnasium as gym
import numpy as np
from pydantic import ValidationError

from corrigym.models import Json, Model
from corrigym.scenarios.world import Tool

MAX_TEXT = 1_000_000
"""Upper bound of an observation's text, in characters."""
_PRINTABLE = "".join(map(chr, range(32, 127)))
_CHEAP_COMMANDS = ("true", "pwd", "id", "ls", "uname")


class ToolCall(Model):
    """A tool by its name, with its arguments."""

    tool: str
    arguments: dict[str, Json] = {}


class Observation(TypedDict):
    """`text` is what the agent reads; `tool` what answered (empty at the start); `exit_code` is -1 where there is none;
    `step` counts tool calls."""

    text: str
    tool: str
    exit_code: int
    step: int


Action: TypeAlias = ToolCall | dict[str, Any] | str
"""A call as the pydantic model, as `{"tool": ..., "arguments": {...}}`, or as that in JSON."""


def parse_action(action: Action, tools: Sequence[Tool]) -> ToolCall:
    """The call that `action` stands for. ValueError, in words meant for the agent, if it is not a legal one."""
    try:
        call = ToolCall.model_validate_json(action) if isinstance(action, str) else ToolCall.model_validate(action)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"])) or "the action"
        raise ValueError(
            f'Not a tool call: {where}: {problem["msg"]}. Expected {{"tool": NAME, "arguments": {{...}}}}.'
        ) from None
    tool = next((tool for tool in tools if tool.name == call.tool), None)
    if tool is None:
        raise ValueError(f"There is no tool {call.tool!r}. Tools: {', '.join(tool.name for tool in tools)}.")
    _check_arguments(call, tool)
    return call


def _check_arguments(call: ToolCall, tool: Tool) -> None:
    properties = cast(dict[str, dict[str, Json]], tool.parameters["properties"])
    for name in call.arguments:
        if name not in properties:
            raise ValueError(f"{tool.name} has no argument {name!r}. Arguments: {', '.join(properties)}.")
    for name in cast(list[str], tool.parameters.get("required", [])):
        if name not in call.arguments:
            raise ValueError(f"{tool.name} needs the argument {name!r}.")
    for name, value in call.arguments.items():
        expected = properties[name].get("type")
        right = isinstance(value, str) if expected == "string" else not isinstance(value, bool | str | list | dict)
        if not right or value is None:
            raise ValueError(f"{tool.name}: the argument {name!r} must be a {expected}.")


class ToolCallSpace(gym.Space[Any]):
    """The tool calls that a scenario offers. `sample` draws a legal call of a shell tool that is cheap and harmless."""

    def __init__(self, tools: Sequence[Tool], seed: int | np.random.Generator | None = None) -> None:
        self.tools = tuple(tools)
        super().__init__(shape=None, dtype=None, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        return False

    def sample(self, mask: Any | None = None, probability: Any | None = None) -> dict[str, Any]:
        """`{"tool", "arguments"}`; masks have no meaning here and are refused."""
        if mask is not None or probability is not None:
            raise ValueError("ToolCallSpace.sample takes neither a mask nor probabilities")
        command = _CHEAP_COMMANDS[int(self.np_random.integers(len(_CHEAP_COMMANDS)))]
        tool = self.tools[0]
        return {"tool": tool.name, "arguments": {tool.main_argument: command}}

    def contains(self, x: Any) -> bool:
        try:
            parse_action(x, self.tools)
        except ValueError:
            return False
        return True

    def to_jsonable(self, sample_n: Iterable[Any]) -> list[Any]:
        return [parse_action(sample, self.tools).model_dump() for sample in sample_n]

    def from_jsonable(self, sample_n: Iterable[Any]) -> list[Any]:
        return list(sample_n)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ToolCallSpace) and other.tools == self.tools

    def __hash__(self) -> int:
        return hash(tuple(tool.name for tool in self.tools))

    def __repr__(self) -> str:
        return f"ToolCallSpace({', '.join(tool.name for tool in self.tools)})"


class AnyText(gym.Space[str]):
    """Text of any characters up to MAX_TEXT: gymnasium's own Text lists its alphabet, and Unicode has too many."""

    def __init__(self, seed: int | np.random.Generator | None = None) -> None:
        super().__init__(shape=None, dtype=None, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        return False

    def sample(self, mask: Any | None = None, probability: Any | None = None) -> str:
        if mask is not None or probability is not None:
            raise ValueError("AnyText.sample takes neither a mask nor probabilities")
        letters = self.np_random.integers(len(_PRINTABLE), size=int(self.np_random.integers(80)))
        return "".join(_PRINTABLE[index] for index in letters)

    def contains(self, x: Any) -> bool:
        return isinstance(x, str) and len(x) <= MAX_TEXT

    def to_jsonable(self, sample_n: Iterable[str]) -> list[str]:
        return [json.dumps(sample) for sample in sample_n]

    def from_jsonable(self, sample_n: Iterable[Any]) -> list[str]:
        return [json.loads(sample) for sample in sample_n]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnyText)

    def __hash__(self) -> int:
        return hash(AnyText)

    def __repr__(self) -> str:
        return "AnyText()"


def observation_space() -> gym.spaces.Dict:
    return gym.spaces.Dict(
        {
            "text": AnyText(),
            "tool": AnyText(),
            "exit_code": gym.spaces.Discrete(512, start=-256),
            "step": gym.spaces.Discrete(1_000_000),
        }
    )
