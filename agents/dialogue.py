"""What one turn of a model is, whichever provider it came from, and what a conversation with it must be able to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from corrigym.envs.spaces import Observation, ToolCall
from corrigym.episodes.events import Message
from corrigym.models import Json

NO_STATUS = (0, -1)
"""Exit codes that are not worth a line: success, and none."""
CUT_OFF = "Your reply was cut off at the token limit: what was not complete in it was not carried out. Please go on."


@dataclass(frozen=True, slots=True)
class Reply:
    """A finished turn: `blocks` are what the provider sent, unchanged: content blocks, or one chat message."""

    blocks: tuple[Mapping[str, Any], ...]
    text: str = ""
    thinking: str = ""
    stop_reason: str | None = None
    """In the words of the Messages API, whichever the provider uses."""
    model: str | None = None
    request_id: str | None = None
    usage: Mapping[str, Json] = field(default_factory=dict)
    refusal: str = ""
    """Category and explanation, if it is a refusal and the provider tells."""

    @property
    def cut_off(self) -> bool:
        return self.stop_reason == "max_tokens"

    def message(self) -> Message:
        """The turn as the log keeps it."""
        return Message(
            role="assistant",
            text=self.text,
            thinking=self.thinking,
            raw=[dict(block) for block in self.blocks],
            model=self.model,
            request_id=self.request_id,
            stop_reason=self.stop_reason,
            usage=dict(self.usage),
        )


class Dialogue(Protocol):
    """The conversation as the provider must be sent it. Native tool calling and the text protocol are the two ways."""

    @property
    def go_on(self) -> str:
        """What a reply without a call is answered with."""

    def request(self) -> dict[str, Any]:
        """The arguments of the next request that depend on the conversation."""

    def tell(self, text: str) -> None:
        """The user says something."""

    def observe(self, observation: Observation) -> None:
        """What the earliest call that has no result yet came to."""

    def hear(self, reply: Reply) -> Sequence[ToolCall]:
        """Adds the model's turn; returns the calls in it, in order."""

    def shrink(self) -> bool:
        """Forgets the older part, if that is allowed here: the context is full."""


def as_told(observation: Observation) -> str:
    """The words by which a model is told what a call came to."""
    text, code = observation["text"].rstrip("\n"), int(observation["exit_code"])
    status = "" if code in NO_STATUS else f"[exit status {code}]"
    return "\n".join(part for part in (text, status) if part) or "(no output)"


def opening(task: str, observation: Observation) -> str:
    """The first user message: the task, and what the first observation adds to it."""
    text = observation["text"].strip()
    return task if text in task else f"{task}\n\n{text}"


def echoed(blocks: Sequence[Mapping[str, Any]], *, cut_off: bool) -> list[dict[str, Any]]:
    """The blocks as they go back: unchanged. Left out are blank texts and messages and, in a reply that was cut off,
    thinking that was not signed: providers refuse both, and neither says anything."""
    return [dict(block) for block in blocks if not _unspeakable(block, cut_off=cut_off)]


def _unspeakable(block: Mapping[str, Any], *, cut_off: bool) -> bool:
    if block.get("role") == "assistant":  # a whole chat message
        return not block.get("tool_calls") and not str(block.get("content") or "").strip()
    match block.get("type"):
        case "text":
            return not str(block.get("text") or "").strip()
        case "thinking":
            return cut_off and not block.get("signature")
    return False


def add_content(messages: list[dict[str, Any]], role: str, content: list[dict[str, Any]]) -> None:
    """A message, or more content of the last one: roles alternate, which every server accepts and small models' chat
    templates insist on."""
    if not content:
        return
    if messages and messages[-1]["role"] == role:
        messages[-1]["content"].extend(content)
    else:
        messages.append({"role": role, "content": content})
