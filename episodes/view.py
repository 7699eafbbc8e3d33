"""An episode as a value: the events of a log folded into what a reader looks at, without judging or rendering it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from corrigym.detection.model import Evidence, Finding, Stage, Verdict
from corrigym.episodes.events import (
    Aftermath,
    Call,
    EpisodeEnded,
    EpisodeStarted,
    Event,
    EvidenceSeen,
    FindingMade,
    Message,
    Payload,
    Result,
    Status,
    Wait,
)
from corrigym.episodes.log import read_events, verify_episode
from corrigym.errors import LogError

STAGES: tuple[Stage, ...] = ("considered", "probed", "attempted", "effected")
"""In rising order."""


@dataclass(frozen=True, slots=True)
class Step:
    """One tool call, with what was said before it and what was seen of it."""

    number: int
    time: float
    call: Call
    said: tuple[Message, ...] = ()
    waits: tuple[Wait, ...] = ()
    result: Result | None = None
    evidence: tuple[Evidence, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Ending:
    """What came after the last call: closing words, the aftermath, and findings that belong to no step."""

    time: float
    said: tuple[Message, ...] = ()
    waits: tuple[Wait, ...] = ()
    aftermath: Aftermath | None = None
    evidence: tuple[Evidence, ...] = ()
    findings: tuple[Finding, ...] = ()
    ended: EpisodeEnded | None = None


@dataclass(frozen=True, slots=True, eq=False)
class EpisodeView:
    """A whole episode, equal to itself only. `damage` says where the log stops to be trustworthy; what comes after
    that place is not in the view."""

    name: str
    start: EpisodeStarted | None
    began: float
    steps: tuple[Step, ...]
    ending: Ending
    damage: str | None = None
    partial: int = 0
    """Bytes of a last line that a crash cut short."""

    @property
    def status(self) -> Status:
        if self.ending.ended:
            return self.ending.ended.status
        return "error" if self.damage else "interrupted"

    @property
    def verdict(self) -> Verdict | None:
        return self.ending.ended.verdict if self.ending.ended else None

    @property
    def pages(self) -> int:
        """The briefing is page 0, then comes a page for each step, and the ending is the last."""
        return len(self.steps) + 2

    @property
    def last(self) -> int:
        return self.pages - 1

    def findings(self, page: int) -> tuple[Finding, ...]:
        if page == self.last:
            return self.ending.findings
        return self.steps[page - 1].findings if 0 < page < self.last else ()

    def stage(self, page: int) -> Stage | None:
        """The highest stage that a finding of this page reached."""
        return max((finding.stage for finding in self.findings(page)), key=STAGES.index, default=None)

    def time(self, page: int) -> float:
        """When the page's moment was, in seconds since the epoch."""
        if page == 0:
            return self.began
        return self.ending.time if page >= self.last else self.steps[page - 1].time

    def page_of(self, step: int) -> int:
        """The page of the step with this number, or of the nearest one before it."""
        if step > max((known.number for known in self.steps), default=0):
            return self.last
        return max((page for page, known in enumerate(self.steps, 1) if known.number <= step), default=0)


@dataclass(slots=True)
class _Draft:
    """What has been read so far."""

    start: EpisodeStarted | None = None
    began: float | None = None
    now: float = 0.0
    steps: list[Step] = field(default_factory=list)
    said: list[Message] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    aftermath: Aftermath | None = None
    ended: EpisodeEnded | None = None


def load_view(path: Path, blobs: Path | None = None) -> EpisodeView:
    """The episode in the file, up to its first damage if there is any. OSError if there is no such file."""
    checked = verify_episode(path, blobs)
    view = fold(_sound(path, blobs, checked.events - checked.doubtful), name=path.stem)
    return replace(view, damage=next(iter(checked.problems), None), partial=checked.partial)


def _sound(path: Path, blobs: Path | None, count: int) -> Iterator[Event]:
    """The events of the first `count` lines."""
    try:
        for event in read_events(path, blobs):
            if event.seq >= count:
                return
            yield event
    except LogError:  # the line that `verify_episode` has named already
        return


def fold(events: Iterable[Event], *, name: str = "") -> EpisodeView:
    draft = _Draft()
    for event in events:
        draft.now = event.time
        draft.began = event.time if draft.began is None else draft.began
        _take(draft, event.payload, event)
    return _finish(draft, name)


def _take(draft: _Draft, payload: Payload, event: Event) -> None:
    match payload:
        case EpisodeStarted():
            draft.start = payload
        case Message():
            draft.said.append(payload)
        case Wait():
            draft.waits.append(payload)
        case Call():
            step = Step(event.step, event.time, payload, tuple(draft.said), tuple(draft.waits))
            draft.steps.append(step)
            draft.said, draft.waits = [], []
        case Result():
            if draft.steps:
                draft.steps[-1] = replace(draft.steps[-1], result=payload)
        case EvidenceSeen():
            draft.evidence.append(payload.evidence)
        case FindingMade():
            draft.findings.append(payload.finding)
        case Aftermath():
            draft.aftermath = payload
        case EpisodeEnded():
            draft.ended = payload


def _finish(draft: _Draft, name: str) -> EpisodeView:
    """Evidence and findings go to the step that they name, wherever in the log they stand; the rest to the ending."""
    numbers = {step.number for step in draft.steps}
    seen: dict[int, list[Evidence]] = {}
    found: dict[int, list[Finding]] = {}
    for item in draft.evidence:
        of_step = item.step in numbers and item.source != "aftermath"
        seen.setdefault(item.step if of_step else -1, []).append(item)
    late = {item.id for item in seen.get(-1, ())}
    for finding in draft.findings:
        of_step = finding.step in numbers and not (finding.evidence and late.issuperset(finding.evidence))
        found.setdefault(finding.step if of_step else -1, []).append(finding)
    steps = tuple(
        replace(step, evidence=tuple(seen.pop(step.number, ())), findings=tuple(found.pop(step.number, ())))
        for step in reversed(draft.steps)  # should a number come twice, the later step gets them
    )[::-1]
    ending = Ending(
        draft.now, tuple(draft.said), tuple(draft.waits), draft.aftermath, tuple(seen.pop(-1, ())),
        tuple(found.pop(-1, ())), draft.ended,
    )  # fmt: skip
    return EpisodeView(name, draft.start, draft.began or 0.0, steps, ending)
