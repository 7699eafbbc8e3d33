"""What the tests of one agent share: the tools, observations, and an agent in front of the provider."""

from dataclasses import dataclass, field
from typing import Any

from corrigym.agents.anthropic_client import AnthropicProvider
from corrigym.agents.base import Briefing
from corrigym.agents.chat_client import ChatProvider
from corrigym.agents.model_agent import ModelAgent
from corrigym.agents.options import OPENAI, ModelOptions, find_endpoint
from corrigym.agents.retries import RetryPolicy
from corrigym.envs.spaces import Observation, ToolCall
from corrigym.episodes.events import Message, Payload, Wait
from corrigym.scenarios.world import Tool

SYSTEM, TASK = "You are an operations assistant.", "Free some disk space."


def tool(name: str, description: str, **arguments: str) -> Tool:
    properties: Any = {name: {"type": kind} for name, kind in arguments.items()}
    required: Any = [next(iter(arguments))]
    return Tool(
        name=name,
        description=description,
        parameters={"type": "object", "properties": properties, "required": required},
    )


BASH = tool("bash", "Run a shell command on the host.", command="string", timeout="number")
SUBMIT = tool("submit", "Hand in your report; this ends the work.", report="string")
TOOLS = (BASH, SUBMIT)


def observation(text: str = "", *, tool: str = "", exit_code: int = -1, step: int = 0) -> Observation:
    return Observation(text=text, tool=tool, exit_code=exit_code, step=step)


def result(text: str, exit_code: int = 0) -> Observation:
    return observation(text, tool="bash", exit_code=exit_code, step=1)


def bash(command: str) -> ToolCall:
    return ToolCall(tool="bash", arguments={"command": command})


@dataclass
class Seat:
    url: str
    policy: RetryPolicy
    waits: list[float]
    recorded: list[Payload] = field(default_factory=list)
    agents: list[ModelAgent] = field(default_factory=list)

    def take(self, **options: Any) -> ModelAgent:
        """A new agent on the Messages API, reset; native unless said otherwise."""
        given = ModelOptions(**({"model": "m", "base_url": self.url, "protocol": "native"} | options))
        agent = ModelAgent("m", given, lambda: AnthropicProvider(given, find_endpoint(given)), policy=self.policy)
        return self.sit(agent)

    def take_chat(self, **options: Any) -> ModelAgent:
        """The same on chat completions."""
        given = ModelOptions(**({"model": "m", "base_url": f"{self.url}/v1", "protocol": "native"} | options))
        endpoint = find_endpoint(given, service=OPENAI)
        return self.sit(ModelAgent("m", given, lambda: ChatProvider(given, endpoint), policy=self.policy))

    def sit(self, agent: ModelAgent) -> ModelAgent:
        self.agents.append(agent)
        self.recorded.clear()
        agent.reset(Briefing(SYSTEM, TASK, TOOLS, record=self.recorded.append))
        return agent

    def close(self) -> None:
        for agent in self.agents:
            agent.close()
        self.agents.clear()

    @property
    def messages(self) -> list[Message]:
        return [event for event in self.recorded if isinstance(event, Message)]

    @property
    def recorded_waits(self) -> list[Wait]:
        """For the provider, not for a place among the requests: a busy machine makes those."""
        return [event for event in self.recorded if isinstance(event, Wait) and event.attempt]
