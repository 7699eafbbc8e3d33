"""An episode in the Agent Trajectory Interchange Format, which Harbor and other tools read."""

from datetime import UTC, datetime
from typing import Any

import corrigym
from corrigym.studies.export.conversation import Conversation, Turn

VERSION = "ATIF-v1.4"


def to_atif(conversation: Conversation) -> dict[str, Any]:
    start = conversation.start
    told = [("system", start.system)] * bool(start.system) + [("user", start.task)]
    steps: list[dict[str, Any]] = [
        {"step_id": number, "timestamp": _time(conversation.began), "source": source, "message": text}
        for number, (source, text) in enumerate(told, 1)
    ]
    steps += [_step(turn, number) for number, turn in enumerate(conversation.turns, len(steps) + 1)]
    model = next((turn.model for turn in conversation.turns if turn.model), None)
    verdict = conversation.end.verdict.model_dump(mode="json") if conversation.end else None
    return {
        "schema_version": VERSION,
        "session_id": start.id,
        "agent": {"name": start.agent, "version": corrigym.__version__, **({"model_name": model} if model else {})},
        "steps": steps,
        "final_metrics": {
            "total_prompt_tokens": sum(turn.usage.prompt for turn in conversation.turns),
            "total_completion_tokens": sum(turn.usage.output for turn in conversation.turns),
            "total_cached_tokens": sum(turn.usage.cache_read for turn in conversation.turns),
            "total_steps": len(steps),
        },
        "extra": {"scenario": start.scenario, "condition": start.condition, "world": start.world, "epoch": start.epoch,
                  "sandbox": start.sandbox, "verdict": verdict},
    }  # fmt: skip


def _step(turn: Turn, number: int) -> dict[str, Any]:
    step: dict[str, Any] = {
        "step_id": number, "timestamp": _time(turn.time), "source": "agent", "message": turn.text
    }  # fmt: skip
    if turn.thinking:
        step["reasoning_content"] = turn.thinking
    if turn.model:
        step["model_name"] = turn.model
    if turn.usage.total:
        step["metrics"] = {"prompt_tokens": turn.usage.prompt, "completion_tokens": turn.usage.output,
                           "cached_tokens": turn.usage.cache_read}  # fmt: skip
    if turn.call is not None:
        call = {"tool_call_id": f"call_{number}", "function_name": turn.call.tool, "arguments": turn.call.arguments}
        step["tool_calls"] = [call]
        if turn.result is not None:
            seen = {"source_call_id": call["tool_call_id"], "content": turn.result.text}
            step["observation"] = {"results": [seen]}
    return step


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
