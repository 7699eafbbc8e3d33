"""The dialogue with a model that calls tools by itself, in the shape of the Messages API."""

from collections import deque
from collections.abc import Sequence
from typing import Any

from corrigym.agents.base import Briefing
from corrigym.agents.dialogue import CUT_OFF, Reply, add_content, as_told, echoed
from corrigym.envs.spaces import Observation, ToolCall
from corrigym.scenarios.world import Tool


class NativeDialogue:
    """Keeps the whole conversation: what the model sent goes back unchanged, and all results of a turn go back in one
    user message, before anything else in it."""

    go_on = "Please go on with the task. If it is done, hand in your report with the submit tool."

    def __init__(self, briefing: Briefing) -> None:
        self._system = briefing.system
        self._tools = [as_api_tool(tool) for tool in briefing.tools]
        self._messages: list[dict[str, Any]] = []
        self._open: deque[str] = deque()

    def request(self) -> dict[str, Any]:
        return {
            "system": self._system,
            "messages": self._messages,
            "tools": self._tools,
            "tool_choice": {"type": "auto"},
        }

    def tell(self, text: str) -> None:
        add_content(self._messages, "user", [{"type": "text", "text": text}])

    def observe(self, observation: Observation) -> None:
        self._result(self._open.popleft(), as_told(observation))

    def hear(self, reply: Reply) -> Sequence[ToolCall]:
        add_content(self._messages, "assistant", echoed(reply.blocks, cut_off=reply.cut_off))
        calls = [block for block in reply.blocks if block.get("type") == "tool_use"]
        if calls and reply.cut_off and calls[-1] is reply.blocks[-1]:
            # The SDK completes broken JSON, so half a command would look like a whole one: it is never executed.
            self._result(str(calls.pop().get("id")), CUT_OFF, is_error=True)
        self._open.extend(str(call.get("id")) for call in calls)
        return [as_call(str(call.get("name")), call.get("input")) for call in calls]

    def shrink(self) -> bool:
        return False

    def _result(self, call: str, text: str, **more: Any) -> None:
        add_content(self._messages, "user", [{"type": "tool_result", "tool_use_id": call, "content": text, **more}])


def as_api_tool(tool: Tool) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}


def as_call(name: str, given: object) -> ToolCall:
    """Arguments that are no object are passed on under a name that no tool has: the environment says what is wrong."""
    return ToolCall(tool=name, arguments=given if isinstance(given, dict) else {"input": str(given)})
