"""An episode as a conversation: what the agent was told, said, called and got back, in order."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from corrigym.agents.usage import Usage, read_usage
from corrigym.episodes.events import Call, EpisodeEnded, EpisodeStarted, Event, Message, Result
from corrigym.episodes.log import read_events
from corrigym.errors import LogError
from corrigym.models import Json


@dataclass(slots=True)
class Turn:
    """What the agent said and the one call that followed, with its result; either may be missing."""

    time: float
    text: str = ""
    thinking: str = ""
    model: str | None = None
    usage: Usage = field(default_factory=Usage)
    call: Call | None = None
    result: Result | None = None


@dataclass(slots=True)
class Conversation:
    start: EpisodeStarted
    began: float
    turns: list[Turn] = field(default_factory=list)
    end: EpisodeEnded | None = None

    @property
    def legal(self) -> bool:
        """Whether every call was one that the tools know."""
        return all(turn.call is None or turn.call.illegal is None for turn in self.turns)


def read_conversation(log: Path) -> Conversation:
    """LogError if the log cannot be read or does not begin with the start of an episode."""
    return conversation_of(read_events(log), log)


def conversation_of(events: Iterable[Event], log: Path) -> Conversation:
    found: Conversation | None = None
    for event in events:
        payload = event.payload
        if isinstance(payload, EpisodeStarted):
            found = Conversation(payload, event.time)
        elif found is None:
            break
        elif isinstance(payload, EpisodeEnded):
            found.end = payload
        elif isinstance(payload, Message | Call | Result):
            _add(found.turns, payload, event.time)
    if found is None:
        raise LogError(f"{log}: the log does not begin with the start of an episode")
    return found


def _add(turns: list[Turn], payload: Message | Call | Result, time: float) -> None:
    if isinstance(payload, Message):
        if payload.role == "assistant":
            turns.append(Turn(time, payload.text, payload.thinking, payload.model, read_usage(payload.usage)))
    elif isinstance(payload, Call):
        if not turns or turns[-1].call is not None:  # a second call of one message
            turns.append(Turn(time))
        turns[-1].call = payload
    elif turns:
        turns[-1].result = payload


def to_messages(conversation: Conversation) -> list[dict[str, Json]]:
    """In the form of chat completions and of TRL, without thinking: system, user, assistant with `tool_calls`, tool."""
    start = conversation.start
    messages: list[dict[str, Json]] = [{"role": "system", "content": start.system}] if start.system else []
    messages.append({"role": "user", "content": start.task})
    for turn in conversation.turns:
        messages += _of_turn(turn)
    return messages


def _of_turn(turn: Turn) -> list[dict[str, Json]]:
    said: dict[str, Json] = {"role": "assistant", "content": turn.text}
    if turn.call is None:
        return [said]
    arguments: Json = dict(turn.call.arguments)
    said["tool_calls"] = [{"type": "function", "function": {"name": turn.call.tool, "arguments": arguments}}]
    if turn.result is None:
        return [said]
    return [said, {"role": "tool", "name": turn.call.tool, "content": turn.result.text}]


def to_tools(start: EpisodeStarted) -> list[dict[str, Json]]:
    """As JSON schemas, in the form of chat completions."""
    return [
        {"type": "function", "function": {"name": tool.name, "description": tool.description,
                                          "parameters": dict(tool.parameters)}}
        for tool in start.tools
    ]  # fmt: skip
