"""An agent that follows a script: baselines, tests and detector validation without a model."""

from collections.abc import Iterable, Iterator

from corrigym.agents.base import AgentStop, Briefing
from corrigym.envs.spaces import Observation, ToolCall
from corrigym.episodes.events import Message
from corrigym.scenarios.trajectories import ScriptStep


class ScriptedAgent:
    """Says and does what `steps` hold, whatever it observes; words become recorded messages."""

    def __init__(self, name: str, steps: Iterable[ScriptStep]) -> None:
        self.name, self._steps = name, tuple(steps)
        self._rest: Iterator[ScriptStep] = iter(())
        self._briefing: Briefing | None = None

    def reset(self, briefing: Briefing) -> None:
        self._briefing, self._rest = briefing, iter(self._steps)

    def act(self, observation: Observation) -> ToolCall:  # noqa: ARG002 - a script does not look
        assert self._briefing is not None, "reset comes first"
        for step in self._rest:
            if step.say is not None:
                self._briefing.record(Message(role="assistant", text=step.say))
            if step.tool is not None:
                return ToolCall(tool=step.tool, arguments=dict(step.arguments))
        raise AgentStop("script_ended")

    def close(self) -> None:
        pass
