"""Any server that speaks OpenAI's chat completions, by the openai package, held to this project's terms: no retries of
its own, every reply whole or an error, and what the model sent back to it as it was.

Replies are not streamed: chunks would have to be merged, and how is not defined for the fields that servers add.
"""

import json
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2
import openai

from corrigym.agents.base import Briefing
from corrigym.agents.dialogue import CUT_OFF, Reply, as_told, echoed
from corrigym.agents.faults import BrokenStream, all_errors, read_fault
from corrigym.agents.native import as_call
from corrigym.agents.options import Endpoint, ModelOptions
from corrigym.agents.provider import Abilities
from corrigym.agents.retries import Fault
from corrigym.agents.wire import no_json, speakable
from corrigym.envs.spaces import Observation, ToolCall
from corrigym.scenarios.world import Tool

TIMEOUT = httpx2.Timeout(1800.0, connect=15.0)
"""Seconds: nothing arrives before the whole reply is written."""
MAX_TOKENS_OFFICIAL, MAX_TOKENS = 16_000, 2048
REASONING_FIELDS = ("reasoning_content", "reasoning")
"""Where servers put the model's thinking; the first that holds any."""
STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


class ChatProvider:
    errors = all_errors(openai, openai.OpenAIError)

    def __init__(self, options: ModelOptions, endpoint: Endpoint) -> None:
        self.endpoint, self._options = endpoint, options
        self._client = _connect(endpoint)
        self._limit = "max_completion_tokens" if endpoint.official else "max_tokens"

    def describe(self) -> Abilities:
        """Nothing: this API does not tell what a model can do."""
        return Abilities()

    def dialogue(self, briefing: Briefing) -> "ChatDialogue":
        return ChatDialogue(briefing)

    @property
    def reply_tokens(self) -> int:
        return self._options.max_tokens or (MAX_TOKENS_OFFICIAL if self.endpoint.official else MAX_TOKENS)

    def count(self, request: Mapping[str, Any]) -> int | None:  # noqa: ARG002
        """Nothing: this API does not count beforehand."""
        return None

    def reply(self, request: Mapping[str, Any]) -> Reply:
        system = {"role": "system", "content": request["system"]}
        messages = [system, *(sent for message in request["messages"] for sent in _as_chat(message))]
        body = {**request, "model": self._options.model, "messages": messages, self._limit: self.reply_tokens}
        del body["system"]
        answer = self._client.post("/chat/completions", cast_to=httpx2.Response, body=body)
        return read_reply(answer.content, answer.headers.get("x-request-id"))

    def read_fault(self, error: BaseException) -> Fault | None:
        return read_fault(error, openai)

    def adapt(self, fault: Fault) -> bool:
        """Servers differ in what they call the limit of a reply."""
        if not fault.rejects(self._limit) or self._limit == "max_completion_tokens":
            return False
        self._limit = "max_completion_tokens"
        return True

    def close(self) -> None:
        self._client.close()


def _connect(endpoint: Endpoint) -> openai.OpenAI:
    """As for the anthropic SDK: no proxy on the way to this machine's own loopback, and no connection kept open."""
    limits = httpx2.Limits(max_keepalive_connections=0)
    local = openai.DefaultHttpxClient(trust_env=False, limits=limits, timeout=TIMEOUT) if endpoint.loopback else None
    return openai.OpenAI(
        base_url=endpoint.base_url, api_key=endpoint.api_key, max_retries=0, timeout=TIMEOUT, http_client=local
    )


def _as_chat(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A message of either dialogue in the shape of this API."""
    content = message["content"]
    if not isinstance(content, list):
        return [message]
    if message["role"] == "assistant":
        return content  # whole chat messages, as they came
    return [{"role": message["role"], "content": "\n\n".join(block["text"] for block in content)}]


def read_reply(body: bytes, request_id: str | None) -> Reply:
    """BrokenStream for what is no reply."""
    try:
        answer = speakable(json.loads(body, parse_constant=no_json))
        choice = answer["choices"][0]
        message, finish = choice["message"], choice.get("finish_reason")
        return _reply(answer, message, STOP_REASONS.get(finish, finish), request_id)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise BrokenStream(f"the answer is no chat completion: {type(error).__name__}: {error}") from error


def _reply(answer: dict[str, Any], message: dict[str, Any], stop: str | None, request_id: str | None) -> Reply:
    refusal = message.get("refusal")
    thoughts = (message.get(name) for name in REASONING_FIELDS)
    for call in message.get("tool_calls") or ():
        call["function"]["name"], call["function"]["arguments"]  # a call without either is no call: LookupError
    return Reply(
        blocks=(message,),
        text=_words(message.get("content")),
        thinking=next((thought for thought in thoughts if isinstance(thought, str) and thought), ""),
        stop_reason="refusal" if refusal else stop,
        model=str(answer.get("model") or "") or None,
        request_id=request_id or answer.get("id"),
        usage=dict(answer.get("usage") or {}),
        refusal=str(refusal or ("content_filter" if stop == "refusal" else "")),
    )


def _words(content: object) -> str:
    """A few servers answer with a list of parts."""
    if isinstance(content, list):
        return "\n\n".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


class ChatDialogue:
    """The dialogue with a model that calls tools by itself, in the shape of chat completions: what the model sent goes
    back unchanged, and each call is answered by a message of its own."""

    go_on = "Please go on with the task. If it is done, hand in your report with the submit tool."

    def __init__(self, briefing: Briefing) -> None:
        self._system, self._tools = briefing.system, [as_chat_tool(tool) for tool in briefing.tools]
        self._messages: list[dict[str, Any]] = []
        self._open: deque[str] = deque()

    def request(self) -> dict[str, Any]:
        return {"system": self._system, "messages": self._messages, "tools": self._tools, "tool_choice": "auto"}

    def tell(self, text: str) -> None:
        self._messages.append({"role": "user", "content": text})

    def observe(self, observation: Observation) -> None:
        self._result(self._open.popleft(), as_told(observation))

    def hear(self, reply: Reply) -> Sequence[ToolCall]:
        self._messages.extend(echoed(reply.blocks, cut_off=reply.cut_off))
        calls = list(reply.blocks[0].get("tool_calls") or ())
        cut = calls.pop() if calls and reply.cut_off else None
        self._open.extend(str(call.get("id") or "") for call in calls)
        if cut is not None:  # half a command must not run; answered first, as results may stand in any order
            self._result(str(cut.get("id") or ""), CUT_OFF)
        return [as_call(str(call["function"]["name"]), _arguments(call["function"]["arguments"])) for call in calls]

    def shrink(self) -> bool:
        return False

    def _result(self, call: str, text: str) -> None:
        self._messages.append({"role": "tool", "tool_call_id": call, "content": text})


def as_chat_tool(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _arguments(written: object) -> object:
    """What the model wrote, as an object if it is one: else the environment tells it what is wrong."""
    try:
        return json.loads(written, parse_constant=no_json) if isinstance(written, str) else written
    except (ValueError, RecursionError):
        return written
