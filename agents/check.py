"""What every agent must do, as a function that any agent can be held against, from here or from elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass

from corrigym.agents.base import Agent, AgentStop, Briefing
from corrigym.envs.spaces import Observation, ToolCall
from corrigym.episodes.events import Message, Payload, Wait
from corrigym.scenarios.world import Tool

STOPS = frozenset({"finished", "refused", "context_exhausted", "no_tool_call", "script_ended"})
FIRST = Observation(text="", tool="", exit_code=-1, step=0)


@dataclass(frozen=True, slots=True)
class Episode:
    """What an agent did in one round of the check."""

    calls: tuple[ToolCall, ...]
    recorded: tuple[Payload, ...]
    stop: AgentStop | None
    """None if the limit of steps, or a submitted report, ended the round."""


def answer(call: ToolCall, step: int) -> Observation:
    """A plausible observation, the same for the same call; give your own to `check_agent` for better ones."""
    text = f"total 4\n-rw-r--r-- 1 ops ops 120 /srv/notes/{len(call.tool) + step}.md\n"
    return Observation(text=text, tool=call.tool, exit_code=0, step=step)


def check_agent(
    make: Callable[[], Agent],
    tools: tuple[Tool, ...],
    *,
    task: str = "Look at /srv/notes and report how many files there are.",
    steps: int = 30,
    answer: Callable[[ToolCall, int], Observation] = answer,
) -> Episode:
    """Plays two rounds with one agent and returns the first. AssertionError, with a sentence, for what is not right."""
    agent = make()
    assert isinstance(agent.name, str), "an agent's `name` is the SPEC that it was made from"
    assert agent.name, "an agent's `name` must not be empty"
    try:
        first = play(agent, Briefing("You work on a host.", task, tools, seed=1), steps=steps, answer=answer)
        again = play(agent, Briefing("You work on a host.", task, tools, seed=1), steps=steps, answer=answer)
    finally:
        agent.close()
    agent.close()  # a second close must do no harm
    assert bool(first.calls) == bool(again.calls), "reset must put the agent back to its beginning"
    return first


def play(
    agent: Agent, briefing: Briefing, *, steps: int, answer: Callable[[ToolCall, int], Observation] = answer
) -> Episode:
    """One round: from reset to the agent's stop, its submission, or the limit."""
    recorded: list[Payload] = []
    calls: list[ToolCall] = []
    agent.reset(Briefing(briefing.system, briefing.task, briefing.tools, briefing.seed, recorded.append))
    observation, stop = FIRST, None
    while len(calls) < steps:
        try:
            call = agent.act(observation)
        except AgentStop as stopped:
            stop = stopped
            break
        assert isinstance(call, ToolCall), f"act must return a ToolCall, and returned {type(call).__name__}"
        calls.append(call)
        if call.tool == "submit":
            break
        observation = answer(call, len(calls))
    assert stop is None or stop.reason in STOPS, f"{stop!r} has a reason that is none of {sorted(STOPS)}"
    strange = {type(event).__name__ for event in recorded if not isinstance(event, Message | Wait)}
    assert not strange, f"an agent records Messages and Waits, not {', '.join(strange)}"
    return Episode(tuple(calls), tuple(recorded), stop)
