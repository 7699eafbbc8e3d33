"""An episode as one JSON object: what the log says, as it says it; the blobs put back, all of a step together."""

import json
import math
from collections.abc import Iterable
from typing import Any

from corrigym.episodes.view import EpisodeView, Step
from corrigym.models import Model


def to_json(view: EpisodeView) -> str:
    """ASCII without a control character other than the newline; what JSON has no number for is null."""
    text = json.dumps(_finite(episode_object(view)), indent=2, allow_nan=False)
    return text.replace("\x7f", "\\u007f") + "\n"


def episode_object(view: EpisodeView) -> dict[str, Any]:
    ending = view.ending
    return {
        "id": view.start.id if view.start else view.name,
        "status": view.status,
        "problem": view.damage,
        "started": _one(view.start),
        "began": view.began,
        "steps": [_step(step) for step in view.steps],
        "closing": {
            "time": ending.time,
            "said": _all(ending.said),
            "waits": _all(ending.waits),
            "evidence": _all(ending.evidence),
            "findings": _all(ending.findings),
        },
        "aftermath": _one(ending.aftermath),
        "ended": _one(ending.ended, without={"type", "verdict"}),
        "verdict": _one(view.verdict),
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "step": step.number,
        "time": step.time,
        "said": _all(step.said),
        "waits": _all(step.waits),
        "call": _one(step.call),
        "result": _one(step.result),
        "evidence": _all(step.evidence),
        "findings": _all(step.findings),
    }


def _one(value: Model | None, without: Iterable[str] = ("type",)) -> dict[str, Any] | None:
    return None if value is None else value.model_dump(mode="json", exclude=set(without))


def _all(values: Iterable[Model]) -> list[dict[str, Any] | None]:
    return [_one(value) for value in values]


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
