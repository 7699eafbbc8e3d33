"""A model behind the Messages API, by the official SDK: Anthropic's own, or any server that speaks it.

`protocol=auto` offers native tools. If a server other than Anthropic's rejects them, or its model answers the opening
with a fenced block (or twice without a call), the episode starts over in the text protocol, which is recorded as a
user message that holds the new instructions. What the model wrote until then is never executed: it did not know that
blocks are. Once a model has called a tool, and always on Anthropic's own server, a block in its prose is prose.
"""

from collections import deque
from collections.abc import Callable
from typing import TypeVar

import anthropic

from corrigym.agents import retries
from corrigym.agents.anthropic_client import Abilities, connect, fixed_arguments, read_abilities, read_reply
from corrigym.agents.base import AgentStop, Briefing
from corrigym.agents.dialogue import CUT_OFF, Dialogue, Reply, opening
from corrigym.agents.faults import ERRORS, explain, means_full_context, read_fault
from corrigym.agents.native import NativeDialogue
from corrigym.agents.options import ModelOptions, find_endpoint
from corrigym.agents.retries import RetryPolicy
from corrigym.agents.text_protocol import CONTEXT, TextDialogue, find_blocks
from corrigym.envs.spaces import Observation, ToolCall
from corrigym.episodes.events import Message, Payload
from corrigym.errors import AgentError

T = TypeVar("T")
NUDGES = 3
"""Replies without a call, in a row, that are answered with a request to go on."""
PAUSES = 20
"""Times in a row that a paused turn is continued."""


class AnthropicAgent:
    """Making one raises UsageError if the key that it needs is missing; the server is first spoken to by `act`."""

    def __init__(self, options: ModelOptions, *, name: str | None = None, policy: RetryPolicy | None = None) -> None:
        self.name = name or f"anthropic/{options.model}"
        self._options = options
        self._endpoint = find_endpoint(options)
        self._policy = policy or RetryPolicy()
        self._client: anthropic.Anthropic | None = None

    def reset(self, briefing: Briefing) -> None:
        self._briefing = briefing
        self._client = self._client or connect(self._endpoint)
        self._dialogue: Dialogue | None = None
        self._calls: deque[ToolCall] = deque()
        self._acted = False
        self._silent = self._paused = 0
        self._caching = True

    def act(self, observation: Observation) -> ToolCall:
        if self._dialogue is None:
            self._begin(observation)
        else:
            self._dialogue.observe(observation)
        while not self._calls:
            self._turn()
        return self._calls.popleft()

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _begin(self, observation: Observation) -> None:
        self._opening = opening(self._briefing.task, observation)
        self._abilities = self._describe()
        if self._options.protocol == "text":
            self._dialogue = self._text_dialogue("chosen by the SPEC")
        else:
            self._dialogue = NativeDialogue(self._briefing)
        self._dialogue.tell(self._opening)

    def _turn(self) -> None:
        reply = self._ask()
        self._record(reply.message())
        match reply.stop_reason:
            case "refusal":
                raise AgentStop("refused", reply.refusal)
            case "model_context_window_exceeded":
                raise AgentStop("context_exhausted", "the model's context window is full")
        calls = self._conversation.hear(reply)
        if calls:
            self._acted, self._silent, self._paused = True, 0, 0
            self._calls.extend(calls)
        elif reply.stop_reason == "pause_turn":
            self._continue_pause()
        else:
            self._answer_silence(reply)

    @property
    def _conversation(self) -> Dialogue:
        assert self._dialogue is not None, "act comes first"
        return self._dialogue

    def _continue_pause(self) -> None:
        """Nothing is said: the next request ends with the paused turn, and the model goes on with it."""
        self._paused += 1
        if self._paused > PAUSES:
            raise AgentStop("no_tool_call", f"the turn was paused more than {PAUSES} times")

    def _answer_silence(self, reply: Reply) -> None:
        self._silent += 1
        if self._may_switch() and (find_blocks(reply.text) or self._silent > 1):
            self._switch_to_text("the model did not call a tool")
        elif self._silent > NUDGES:
            raise AgentStop("no_tool_call", f"{self._silent} replies in a row without a tool call")
        else:
            nudge = CUT_OFF if reply.cut_off else self._conversation.go_on
            self._conversation.tell(nudge)
            self._record(Message(role="user", text=nudge))

    def _may_switch(self) -> bool:
        automatic = self._options.protocol == "auto" and not self._endpoint.official
        return automatic and not self._acted and isinstance(self._dialogue, NativeDialogue)

    def _switch_to_text(self, reason: str) -> None:
        self._dialogue, self._silent = self._text_dialogue(reason), 0
        self._dialogue.tell(self._opening)

    def _text_dialogue(self, reason: str) -> TextDialogue:
        context = self._options.context or self._abilities.context or CONTEXT
        dialogue = TextDialogue(self._briefing, context)
        self._record(Message(role="user", text=dialogue.instructions, raw={"protocol": "text", "reason": reason}))
        return dialogue

    def _describe(self) -> Abilities:
        try:
            return self._call(lambda client: read_abilities(client, self._options.model))
        except ERRORS as error:
            raise self._failure(error) from None

    def _ask(self) -> Reply:
        while True:
            arguments = fixed_arguments(self._options, self._abilities, caching=self._caching)
            arguments |= self._conversation.request()
            try:
                return self._call(lambda client: read_reply(client, arguments))  # noqa: B023 - called in this round
            except ERRORS as error:
                self._adapt(error)

    def _adapt(self, error: Exception) -> None:
        """Changes what the server could not take, so that it can be asked again; raises where nothing helps."""
        fault = read_fault(error)
        if fault is not None and means_full_context(fault):
            if not self._conversation.shrink():
                raise AgentStop("context_exhausted", self._endpoint.redact(fault.message)) from None
        elif fault is not None and fault.rejects("cache_control") and self._caching:
            self._caching = False
        elif fault is not None and fault.rejects("tool") and self._may_switch():
            self._switch_to_text("the server does not take tools")
        else:
            raise self._failure(error) from None

    def _failure(self, error: Exception) -> AgentError:
        return AgentError(explain(error, self._options.model, self._endpoint, self._policy.attempts))

    def _call(self, request: Callable[[anthropic.Anthropic], T]) -> T:
        client = self._client
        assert client is not None, "reset comes first"
        return retries.call(lambda: request(client), read=read_fault, record=self._record, policy=self._policy)

    def _record(self, payload: Payload) -> None:
        """Into the log, and without the key even if the provider repeated it."""
        written = payload.model_dump_json()
        clean = self._endpoint.redact(written)
        self._briefing.record(payload if clean == written else type(payload).model_validate_json(clean))
