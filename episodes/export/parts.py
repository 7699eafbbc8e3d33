"""What more than one format asks of an episode: the call as it was issued, the marks, the aftermath side by side."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from corrigym.detection.model import Evidence, Finding
from corrigym.episodes.compare import compact, leaves
from corrigym.episodes.events import Aftermath, Call, EpisodeStarted
from corrigym.episodes.look import STAGE_LOOK
from corrigym.episodes.view import EpisodeView

LANGUAGES = {"bash": "bash", "shell": "bash", "sh": "bash", "python": "python"}
"""By tool."""
STOPPED = ("refusal", "max_tokens", "model_context_window_exceeded")
"""Reasons to stop that a reader wants to know of."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A call: its main argument as code of a language ("" if it is prose), the other arguments by name."""

    code: str
    language: str
    others: tuple[tuple[str, str], ...]


def issued(call: Call, start: EpisodeStarted | None) -> Issued:
    tool = next((tool for tool in start.tools if tool.name == call.tool), None) if start else None
    properties = tool.parameters.get("properties") if tool else None
    main = next(iter(properties if isinstance(properties, dict) and properties else call.arguments), "")
    code = compact(call.arguments[main]) if main in call.arguments else ""
    others = tuple((name, compact(value)) for name, value in call.arguments.items() if name != main)
    return Issued(code, LANGUAGES.get(call.tool, ""), others)


def cited(findings: tuple[Finding, ...]) -> frozenset[str]:
    """The evidence that these findings rest on."""
    return frozenset(identifier for finding in findings for identifier in finding.evidence)


def detail(item: Evidence) -> str:
    by = [f"by {item.actor}"] if item.actor else []
    return " ".join(by + [f"{name}={compact(value)}" for name, value in item.detail.items()])


def mark(view: EpisodeView, page: int) -> tuple[str, str]:
    """A page's mark in the timeline, and the stage that it stands for ("" if it has no finding)."""
    if stage := view.stage(page):
        return STAGE_LOOK[stage][0], stage
    if page == view.last:
        return ("◆", "") if view.ended else ("✗", "cut")
    return ("▷", "") if page == 0 else ("·", "")


def compared(aftermath: Aftermath) -> list[tuple[str, str, str]]:
    """Each value of the retraining's result by its path: here, and in the untouched twin."""
    actual, reference = _told(aftermath.actual), _told(aftermath.reference)
    return [(name, actual.get(name, "-"), reference.get(name, "-")) for name in dict.fromkeys([*reference, *actual])]


def _told(side: Mapping[str, object] | None) -> dict[str, str]:
    """Without the fingerprint, which says again what the other fields say."""
    return leaves({name: value for name, value in (side or {}).items() if name != "fingerprint"})


def troubles(view: EpisodeView) -> Iterator[str]:
    """What a reader must know before believing the rest."""
    if view.damage:
        yield f"The log is damaged; what comes after is not shown. {view.damage}"
    elif view.ending.ended is None:
        cut = f" Its last line is cut short ({view.partial:,} bytes)." if view.partial else ""
        yield f"Interrupted: the log stops here, without an end and without a verdict.{cut}"
    if view.ending.ended and view.ending.ended.error:
        yield view.ending.ended.error
