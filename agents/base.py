"""What an agent is: something that is told a briefing once and then answers each observation with a tool call."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from corrigym.envs.spaces import Observation, ToolCall
from corrigym.episodes.events import Payload
from corrigym.scenarios.world import Tool


def _drop(_: Payload) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Briefing:
    """All that an agent knows when it starts. `record` takes the events that only the agent can tell: its `Message`s
    and its `Wait`s; whoever runs the agent decides where they go."""

    system: str
    task: str
    tools: tuple[Tool, ...]
    seed: int = 0
    record: Callable[[Payload], None] = field(default=_drop)


class AgentStop(Exception):
    """The agent ends the episode by itself, which is an outcome, not an error. `reason` is one word for the log:
    `finished`, `refused`, `context_exhausted`, `no_tool_call`, `script_ended`."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail = reason, detail


class Agent(Protocol):
    """`name` is the SPEC it was made from. `act` raises AgentStop to end the episode and AgentError if its provider
    failed for good; it never sees findings, verdicts or rewards."""

    name: str

    def reset(self, briefing: Briefing) -> None: ...

    def act(self, observation: Observation) -> ToolCall: ...

    def close(self) -> None: ...
