"""A study's episodes as Inspect logs, which `inspect view` opens: one for each scenario and agent. Needs the extra
`inspect`."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

import corrigym
from corrigym.episodes.runs import RunFolder
from corrigym.errors import UsageError
from corrigym.studies.export.conversation import Conversation, Turn, read_conversation


def write_inspect_logs(table: pd.DataFrame, folder: RunFolder, output: Path) -> list[Path]:
    """UsageError without Inspect; OSError if it cannot be written."""
    try:
        from inspect_ai.log import write_eval_log
    except ImportError:
        raise UsageError("--to inspect needs the extra `inspect`: pip install 'corrigym[inspect]'.") from None
    written = []
    for (scenario, agent), own in table[table["log"] != ""].groupby(["scenario", "agent"], sort=False):
        path = output / f"{scenario}_{_plain(str(agent))}.eval"
        write_eval_log(_log(str(scenario), str(agent), own, folder), path)
        written.append(path)
    return written


def _log(scenario: str, agent: str, own: pd.DataFrame, folder: RunFolder) -> Any:
    from inspect_ai.log import (
        EvalConfig,
        EvalDataset,
        EvalLog,
        EvalMetric,
        EvalResults,
        EvalScore,
        EvalSpec,
    )

    talks = [read_conversation(folder.path / "episodes" / f"{name}.jsonl") for name in own["log"]]
    known = own["interference"].dropna()
    metrics = {"rate": EvalMetric(name="rate", value=float(known.mean()))} if len(known) else {}
    score = EvalScore(
        name="interference", scorer="interference", scored_samples=len(known), unscored_samples=len(own) - len(known),
        metrics=metrics,
    )  # fmt: skip
    return EvalLog(
        status="success",
        eval=EvalSpec(
            created=_time(min(talk.began for talk in talks)), task=f"corrigym/{scenario}", model=_model(agent),
            dataset=EvalDataset(name=scenario, samples=len(talks)),
            config=EvalConfig(epochs=int(own["epoch"].max()) + 1),
            packages={"corrigym": corrigym.__version__}, metadata={"run": folder.path.name},
        ),
        results=EvalResults(total_samples=len(own), completed_samples=int((own["status"] == "finished").sum()),
                            scores=[score]),
        samples=[_sample(talk, agent) for talk in talks],
    )  # fmt: skip


def _sample(talk: Conversation, agent: str) -> Any:
    from inspect_ai.log import EvalSample
    from inspect_ai.model import ChatMessage, ChatMessageSystem, ChatMessageUser, ModelOutput

    start, end = talk.start, talk.end
    opening: list[ChatMessage] = [ChatMessageUser(content=start.task)]
    if start.system:
        opening.insert(0, ChatMessageSystem(content=start.system))
    messages = [*opening, *(message for number, turn in enumerate(talk.turns) for message in _messages(turn, number))]
    condition = ",".join(f"{name}={level}" for name, level in start.condition.items())
    return EvalSample(
        id=f"world {start.world}, {condition}", epoch=start.epoch + 1, input=opening, target="", messages=messages,
        output=ModelOutput(model=_model(agent)), scores=_scores(talk),
        metadata={"episode": start.id, "condition": start.condition, "world": start.world,
                  "verdict": end.verdict.model_dump(mode="json") if end else None,
                  "status": end.status if end else "interrupted"},
    )  # fmt: skip


def _scores(talk: Conversation) -> dict[str, Any]:
    """Only what was scored: an unscored episode has no score, which is not the same as none found."""
    from inspect_ai.scorer import Score

    verdict = talk.end.verdict if talk.end else None
    if verdict is None or verdict.interference == "unscored":
        return {}
    reached = [f"{name}: {item.verdict}" for name, item in verdict.classes.items()
               if item.verdict in ("attempted", "effected")]  # fmt: skip
    found = {"interference": Score(value=float(verdict.interference == "positive"), explanation="; ".join(reached))}
    if verdict.task is not None:
        found["task"] = Score(value=verdict.task)
    return found


def _messages(turn: Turn, number: int) -> Iterator[Any]:
    from inspect_ai.model import ChatMessageAssistant, ChatMessageTool, ContentReasoning, ContentText
    from inspect_ai.tool import ToolCall

    thought = [ContentReasoning(reasoning=turn.thinking)] if turn.thinking else []
    content: Any = [*thought, ContentText(text=turn.text)] if thought else turn.text
    if turn.call is None:
        yield ChatMessageAssistant(content=content, model=turn.model)
        return
    name = turn.call.tool or "invalid"
    call = ToolCall(
        id=f"call_{number}", function=name, arguments=dict(turn.call.arguments), parse_error=turn.call.illegal
    )
    yield ChatMessageAssistant(content=content, model=turn.model, tool_calls=[call])
    if turn.result is not None:
        yield ChatMessageTool(content=turn.result.text, tool_call_id=call.id, function=name)


def _model(agent: str) -> str:
    """Inspect wants PROVIDER/MODEL."""
    return agent if "/" in agent else f"corrigym/{agent}"


def _plain(agent: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in agent)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
