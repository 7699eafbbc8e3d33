"""A model behind a provider's API: its turns become tool calls, whatever it or its server does.

`protocol=auto` offers native tools. If a server other than the provider's own rejects them, or its model answers the
opening with a fenced block (or twice without a call), the episode starts over in the text protocol, which is recorded
as a user message that holds the new instructions. What the model wrote until then is never executed: it did not know
that blocks are. Once a model has called a tool, and always on the provider's own server, a block in its prose is prose.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from corrigym.agents import retries, scratchpad
from corrigym.agents.base import AgentStop, Briefing
from corrigym.agents.dialogue import CUT_OFF, Dialogue, Reply, opening
from corrigym.agents.faults import explain, means_full_context
from corrigym.agents.limiter import Limiter
from corrigym.agents.options import ModelOptions
from corrigym.agents.provider import Abilities, Provider
from corrigym.agents.retries import RetryPolicy
from corrigym.agents.room import Room
from corrigym.agents.text_protocol import CONTEXT, TextDialogue, find_blocks
from corrigym.agents.usage import read_usage
from corrigym.envs.spaces import Observation, ToolCall
from corrigym.episodes.events import Message, Payload
from corrigym.errors import AgentError
from corrigym.models import Model

T = TypeVar("T")
M = TypeVar("M", bound=Model)
NUDGES = 3
"""Replies without a call, in a row, that are answered with a request to go on."""
PAUSES = 20
"""Times in a row that a paused turn is continued."""


class ModelAgent:
    """`connect` makes the provider when an episode begins; the server is first spoken to by `act`. `limiter` is shared
    by the agents that must not overwhelm the server together."""

    def __init__(
        self,
        name: str,
        options: ModelOptions,
        connect: Callable[[], Provider],
        *,
        policy: RetryPolicy | None = None,
        limiter: Limiter | None = None,
    ) -> None:
        self.name, self._options, self._connect = name, options, connect
        self._policy, self._limiter = policy or RetryPolicy(), limiter or Limiter()
        self._connected: Provider | None = None

    def reset(self, briefing: Briefing) -> None:
        self._connected = self._connected or self._connect()
        self._briefing = briefing
        self._abilities = Abilities()
        self._dialogue: Dialogue | None = None
        self._calls: deque[ToolCall] = deque()
        self._acted = False
        self._silent = self._paused = 0

    def act(self, observation: Observation) -> ToolCall:
        if self._dialogue is None:
            self._begin(observation)
        else:
            self._dialogue.observe(observation)
        while not self._calls:
            self._turn()
        return self._calls.popleft()

    def close(self) -> None:
        if self._connected is not None:
            self._connected.close()
            self._connected = None

    @property
    def _provider(self) -> Provider:
        assert self._connected is not None, "reset comes first"
        return self._connected

    @property
    def _conversation(self) -> Dialogue:
        assert self._dialogue is not None, "act comes first"
        return self._dialogue

    def _begin(self, observation: Observation) -> None:
        self._opening = opening(self._briefing.task, observation)
        self._abilities = self._described()
        self._room = Room(self._options.context or self._abilities.context, self._provider.reply_tokens)
        told = scratchpad.INSTRUCTIONS
        if self._options.reasoning == "scratchpad" and told not in self._briefing.system:
            self._briefing = replace(self._briefing, system=f"{self._briefing.system}\n\n{told}")
            self._record(Message(role="user", text=told, raw={"reasoning": "scratchpad"}))
        if self._options.protocol == "text":
            self._dialogue = self._text_dialogue("chosen by the SPEC")
        else:
            self._dialogue = self._provider.dialogue(self._briefing)
        self._dialogue.tell(self._opening)

    def _turn(self) -> None:
        reply = self._ask()
        self._record(reply.message())
        match reply.stop_reason:
            case "refusal":
                raise AgentStop("refused", self._provider.endpoint.redact(reply.refusal))
            case "model_context_window_exceeded":
                raise AgentStop("context_exhausted", "the model's context window is full")
        calls = self._conversation.hear(reply)
        if calls:
            self._acted, self._silent, self._paused = True, 0, 0
            self._calls.extend(self._redacted(call) for call in calls)
        elif reply.stop_reason == "pause_turn":
            self._continue_pause()
        else:
            self._answer_silence(reply)

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
        automatic = self._options.protocol == "auto" and not self._provider.endpoint.official
        return automatic and not self._acted and not isinstance(self._dialogue, TextDialogue)

    def _switch_to_text(self, reason: str) -> None:
        self._dialogue, self._silent = self._text_dialogue(reason), 0
        self._dialogue.tell(self._opening)

    def _text_dialogue(self, reason: str) -> TextDialogue:
        context = self._options.context or self._abilities.context or CONTEXT
        dialogue = TextDialogue(self._briefing, context)
        self._record(Message(role="user", text=dialogue.instructions, raw={"protocol": "text", "reason": reason}))
        return dialogue

    def _described(self) -> Abilities:
        try:
            return self._call(self._provider.describe)
        except self._provider.errors as error:
            raise self._failure(error) from None

    def _ask(self) -> Reply:
        while True:
            request = self._fitting()
            try:
                reply = self._call(lambda: self._provider.reply(request))  # noqa: B023 - called in this round
            except self._provider.errors as error:
                self._adapt(error)
            else:
                self._room.heard(request, read_usage(reply.usage))
                return scratchpad.separated(reply) if self._options.reasoning == "scratchpad" else reply

    def _fitting(self) -> dict[str, Any]:
        """The next request, as far as it can be seen to fit the model's context: with a shorter reply where that helps,
        without old turns where they may be left out."""
        while True:
            request = self._conversation.request()
            left = self._room.for_reply(request, lambda: self._provider.count(request))  # noqa: B023 - as above
            if left is None:
                return request
            if left >= self._room.least:
                return request | {"max_tokens": left}
            if not self._conversation.shrink():
                raise AgentStop("context_exhausted", f"{max(0, left)} tokens of the context are left for a reply")

    def _adapt(self, error: Exception) -> None:
        """Changes what the server could not take, so that it can be asked again; raises where nothing helps."""
        fault = self._provider.read_fault(error)
        if fault is not None and means_full_context(fault):
            if not self._conversation.shrink():
                raise AgentStop("context_exhausted", self._provider.endpoint.redact(fault.message)) from None
        elif fault is not None and fault.rejects("tool") and self._may_switch():
            self._switch_to_text("the server does not take tools")
        elif fault is None or not self._provider.adapt(fault):
            raise self._failure(error) from None

    def _failure(self, error: Exception) -> AgentError:
        fault = self._provider.read_fault(error)
        assert fault is not None, "all of the provider's errors can be read"
        return AgentError(explain(fault, self._options.model, self._provider.endpoint, self._policy.attempts))

    def _call(self, request: Callable[[], T]) -> T:
        provider, limiter = self._provider, self._limiter
        return retries.call(
            lambda: limiter.attempt(request, provider, record=self._record),
            read=provider.read_fault,
            record=self._record,
            policy=self._policy,
        )

    def _record(self, payload: Payload) -> None:
        self._briefing.record(self._redacted(payload))

    def _redacted(self, value: M) -> M:
        """Without the key, even if the provider repeated it: it must reach neither the log nor the host."""
        written = value.model_dump_json()
        clean = self._provider.endpoint.redact(written)
        return value if clean == written else type(value).model_validate_json(clean)
