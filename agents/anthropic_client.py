"""The official SDK, held to this project's terms: no retries of its own, every reply whole or an error."""

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import anthropic
import httpx2
from anthropic.lib.streaming import MessageStream

from corrigym.agents.base import Briefing
from corrigym.agents.dialogue import Reply
from corrigym.agents.faults import BrokenStream, all_errors, read_fault
from corrigym.agents.native import NativeDialogue
from corrigym.agents.options import Endpoint, ModelOptions
from corrigym.agents.provider import Abilities
from corrigym.agents.retries import Fault
from corrigym.agents.wire import no_json, speakable
from corrigym.errors import AgentError

MAX_TOKENS = 16_000
"""Tokens of one reply, thinking included, where the server describes its model."""
MAX_TOKENS_UNKNOWN = 2048
LEAST_BUDGET = 1024
"""Tokens: the API takes no smaller budget for extended thinking."""
_NO_SENSE = (ValueError, LookupError, AttributeError, TypeError, RuntimeError, AssertionError)
"""What the SDK lets through while it reads a stream that is no message."""


def connect(endpoint: Endpoint) -> anthropic.Anthropic:
    return anthropic.Anthropic(
        base_url=endpoint.base_url,
        api_key=endpoint.api_key,
        auth_token=endpoint.auth_token,
        max_retries=0,
        http_client=_local_client() if endpoint.loopback else None,
    )


def _local_client() -> httpx2.Client:
    """No proxy that the environment names could reach this machine's own loopback; and small servers close idle
    connections at any moment, which costs a retry where opening a new one costs nothing."""
    return anthropic.DefaultHttpxClient(trust_env=False, limits=httpx2.Limits(max_keepalive_connections=0))


class AnthropicProvider:
    """Anthropic's own API, or any server that speaks it."""

    errors = all_errors(anthropic, anthropic.AnthropicError)

    def __init__(self, options: ModelOptions, endpoint: Endpoint) -> None:
        self.endpoint, self._options = endpoint, options
        self._client, self._abilities, self._caching = connect(endpoint), Abilities(), True
        self._counting = True

    def describe(self) -> Abilities:
        self._abilities = read_abilities(self._client, self._options.model)
        return self._abilities

    def dialogue(self, briefing: Briefing) -> NativeDialogue:
        return NativeDialogue(briefing)

    @property
    def reply_tokens(self) -> int:
        return reply_tokens(self._options, self._abilities)

    def count(self, request: Mapping[str, Any]) -> int | None:
        """A server that fails to count once is not asked again."""
        if not self._counting:
            return None
        arguments = self._arguments(request)
        counted = {name: value for name, value in arguments.items() if name not in ("max_tokens", "cache_control")}
        try:
            answer: object = self._client.messages.count_tokens(**counted)
        except self.errors:
            self._counting = False
            return None
        return _positive(getattr(answer, "input_tokens", None))

    def reply(self, request: Mapping[str, Any]) -> Reply:
        return read_reply(self._client, self._arguments(request))

    def _arguments(self, request: Mapping[str, Any]) -> dict[str, Any]:
        bound = {"max_tokens": request["max_tokens"]} if "max_tokens" in request else {}
        options = self._options.model_copy(update=bound)
        return fixed_arguments(options, self._abilities, caching=self._caching) | dict(request)

    def read_fault(self, error: BaseException) -> Fault | None:
        return read_fault(error, anthropic)

    def adapt(self, fault: Fault) -> bool:
        if not (fault.rejects("cache_control") and self._caching):
            return False
        self._caching = False
        return True

    def close(self) -> None:
        self._client.close()


def read_abilities(client: anthropic.Anthropic, model: str) -> Abilities:
    """Only 401, 403 and what is worth a retry are raised: a server need not describe its models."""
    try:
        answer: object = client.models.retrieve(model)
    except (anthropic.AuthenticationError, anthropic.PermissionDeniedError):
        raise
    except anthropic.APIStatusError as error:
        if error.status_code in (408, 409, 429) or error.status_code >= 500:
            raise
        return Abilities()
    info = answer.to_dict(warnings=False) if isinstance(answer, anthropic.BaseModel) else {}
    types = _dig(info, "capabilities", "thinking", "types")
    kinds = types if isinstance(types, dict) else {}
    return Abilities(
        thinking=frozenset(kind for kind in kinds if _dig(kinds, kind, "supported") is True),
        context=_positive(info.get("max_input_tokens")),
        max_tokens=_positive(info.get("max_tokens")),
    )


def _dig(value: object, *path: str) -> object:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _positive(value: object) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def reply_tokens(options: ModelOptions, abilities: Abilities) -> int:
    known = min(abilities.max_tokens, MAX_TOKENS) if abilities.max_tokens else MAX_TOKENS_UNKNOWN
    return options.max_tokens or known


def fixed_arguments(options: ModelOptions, abilities: Abilities, *, caching: bool) -> dict[str, Any]:
    """The arguments of a request that do not depend on the conversation."""
    arguments: dict[str, Any] = {"model": options.model, "max_tokens": reply_tokens(options, abilities)}
    if caching:
        arguments["cache_control"] = {"type": "ephemeral"}
    if thinking := _thinking(options, abilities, arguments["max_tokens"]):
        arguments["thinking"] = thinking
    return arguments


def _thinking(options: ModelOptions, abilities: Abilities, max_tokens: int) -> dict[str, Any] | None:
    """What a request says about thinking, as far as the server says that its model understands it."""
    if options.reasoning != "native":
        if options.reasoning == "none" and abilities.thinking and "disabled" not in abilities.thinking:
            raise AgentError(f"anthropic/{options.model} cannot be asked not to think: leave reasoning=none out.")
        return {"type": "disabled"} if "disabled" in abilities.thinking else None
    if "adaptive" in abilities.thinking:
        # Some models leave the text of their thinking out unless asked: a transcript without it cannot be audited.
        return {"type": "adaptive", "display": "summarized"}
    budget = max_tokens // 2
    if "enabled" in abilities.thinking and budget >= LEAST_BUDGET:
        return {"type": "enabled", "budget_tokens": budget, "display": "summarized"}
    return None


def read_reply(client: anthropic.Anthropic, arguments: Mapping[str, Any]) -> Reply:
    """The model's whole turn. BrokenStream if the stream ended before it did."""
    with client.messages.stream(**arguments) as stream:
        try:
            return _whole(stream)
        except _NO_SENSE as error:
            raise BrokenStream(f"{type(error).__name__} in the stream: {error}") from error


def _whole(stream: MessageStream[None]) -> Reply:
    seen: set[str] = set()
    arguments: dict[int, str] = defaultdict(str)
    for event in stream:
        seen.add(event.type)
        if event.type == "content_block_delta" and event.delta.type == "input_json_delta":
            arguments[event.index] += event.delta.partial_json
    if "message_start" not in seen:
        raise BrokenStream("it held no message")
    message = stream.get_final_message()
    if message.stop_reason is None and "message_stop" not in seen:
        # The SDK returns what it has when the connection closes early: half a turn, and no error.
        raise BrokenStream("it ended before the message did")
    if message.stop_reason != "max_tokens":
        # Nor does it say so when it had to complete a call's arguments: half a command would look like a whole one.
        for written in filter(None, arguments.values()):
            json.loads(written, parse_constant=no_json)
    details = message.stop_details
    told = [details.category, details.explanation] if details else []
    blocks = tuple(_as_sent(block) for block in message.content)
    return Reply(
        blocks=blocks,
        text=_joined(blocks, "text"),
        thinking=_joined(blocks, "thinking"),
        stop_reason=message.stop_reason,
        model=message.model,
        request_id=stream.request_id,
        usage=_as_sent(message.usage),
        refusal=": ".join(part for part in told if part),
    )


def _as_sent(part: anthropic.BaseModel) -> dict[str, Any]:
    speakable(part.to_dict(warnings=False))  # in JSON mode NaN would have become null
    sent: dict[str, Any] = speakable(part.to_dict(mode="json", warnings=False))
    return sent


def _joined(blocks: tuple[Mapping[str, Any], ...], kind: str) -> str:
    parts = (block.get(kind) for block in blocks if block.get("type") == kind)
    return "\n\n".join(part for part in parts if isinstance(part, str) and part)
