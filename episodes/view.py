"""An episode as a value: the events of a log folded into what a reader looks at, without judging or rendering it.

Steps are loaded when they are asked for, so that a long episode costs no more memory than a short one.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, overload

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
    Result,
    Status,
    Wait,
)
from corrigym.episodes.index import ENDING, STAGES, Index, Touched
from corrigym.episodes.scan import Scan, last_event

KEPT = 64
"""Steps that are kept loaded."""
_CHANGED = "this line of the log was changed after it had been read"


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
    lost: str | None = None
    """What of the step the log refers to but does not have."""


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
    lost: str | None = None


class Source(Protocol):
    """What an episode is read from."""

    index: Index

    @property
    def share(self) -> float: ...

    @property
    def partial(self) -> int: ...

    def read(self, first: int, after: int) -> Iterator[tuple[int, Event, str | None]]: ...


class EpisodeView:
    """A whole episode, equal to itself only. It grows while its log is read on; `stamp` tells of that.

    `damage` says where the log stops to be trustworthy; what comes after that place is not in the view. `foretold` is
    how the log says that it ends, until it has been read to there.
    """

    def __init__(self, name: str, source: Source, damage: list[str], foretold: EpisodeEnded | None = None) -> None:
        self.name = name
        self.growing = False
        """Whoever looks at it expects more: the episode is running."""
        self.steps = Steps(self)
        self._source, self._damage, self._foretold = source, damage, foretold
        self._ending: tuple[int, Ending] | None = None

    @property
    def stamp(self) -> int:
        return self._source.index.events + len(self._damage)

    @property
    def start(self) -> EpisodeStarted | None:
        return self._source.index.start

    @property
    def began(self) -> float:
        return self._source.index.began or 0.0

    @property
    def damage(self) -> str | None:
        return self._damage[0] if self._damage else None

    @property
    def partial(self) -> int:
        """Bytes of a last line that a crash cut short."""
        return self._source.partial

    @property
    def share(self) -> float:
        """How much of the log has been read: below 1, there is more than the view has."""
        return self._source.share

    @property
    def ended(self) -> EpisodeEnded | None:
        """How the episode ended; as foretold while the log is still read."""
        foretold = self._foretold if self.share < 1 and not self._damage else None
        return self._source.index.ended or foretold

    @property
    def status(self) -> Status:
        if ended := self.ended:
            return ended.status
        return "error" if self.damage else "interrupted"

    @property
    def word(self) -> str:
        """The status; of an episode without an end also whether it is running, or read on."""
        if self.ended or self.damage:
            return self.status
        return "being read" if self.share < 1 else "running" if self.growing else self.status

    @property
    def verdict(self) -> Verdict | None:
        return self.ended.verdict if self.ended else None

    @property
    def pages(self) -> int:
        """The briefing is page 0, then comes a page for each step, and the ending is the last."""
        return len(self.steps) + 2

    @property
    def last(self) -> int:
        return self.pages - 1

    @property
    def ending(self) -> Ending:
        if self._ending is None or self._ending[0] != self.stamp:
            self._ending = self.stamp, _load_ending(self._source, self.ended)
        return self._ending[1]

    def findings(self, page: int) -> tuple[Finding, ...]:
        if page == self.last:
            return self.ending.findings
        return self.steps[page - 1].findings if 0 < page < self.last else ()

    def evidence(self, page: int) -> tuple[Evidence, ...]:
        if page == self.last:
            return self.ending.evidence
        return self.steps[page - 1].evidence if 0 < page < self.last else ()

    def stage(self, page: int) -> Stage | None:
        """The highest stage that a finding of this page reached."""
        return self.highest(page, page + 1)

    def highest(self, first: int, after: int) -> Stage | None:
        """The same of all these pages."""
        index = self._source.index
        stage = max(index.stages[max(first - 1, 0) : max(after - 1, 0)], default=0)
        stage = max(stage, index.last_stage if first <= self.last < after else 0)
        return STAGES[stage - 1] if stage else None

    @property
    def any_findings(self) -> bool:
        index = self._source.index
        return bool(index.last_stage) or any(index.stages)

    def time(self, page: int) -> float:
        """When the page's moment was, in seconds since the epoch."""
        if page == 0:
            return self.began
        return self._source.index.now if page >= self.last else self._source.index.times[page - 1]

    def number(self, page: int) -> int:
        """The number of the step on this page, which is none of the first and the last."""
        return self._source.index.numbers[page - 1]

    def page_of(self, step: int) -> int:
        """The page of the step with this number, or of the nearest one before it."""
        numbers = self._source.index.numbers
        if (exact := self._source.index.step_of(step)) != ENDING:
            return exact + 1
        if step > max(numbers, default=0):
            return self.last
        return max((page for page, known in enumerate(numbers, 1) if known <= step), default=0)

    def history(self, asset: str, page: int) -> list[Touched]:
        """All that was seen of an asset up to this page, in the order of the log."""
        index = self._source.index
        known = index.histories.get(asset)
        return known.until(None if page >= self.last else page - 1, index.sorts) if known else []

    def find_evidence(self, identifier: str) -> Evidence | None:
        for line in self._source.index.lines_of(identifier):
            for _, event, _ in self._source.read(line, line + 1):
                if isinstance(event.payload, EvidenceSeen) and event.payload.evidence.id == identifier:
                    return event.payload.evidence
        return None


class Steps(Sequence[Step]):
    """The steps of a view, read from its log when they are asked for."""

    def __init__(self, view: EpisodeView) -> None:
        self._view, self._known = view, OrderedDict[tuple[int, int], Step]()

    def __len__(self) -> int:
        return len(self._view._source.index.calls)

    @overload
    def __getitem__(self, place: int) -> Step: ...

    @overload
    def __getitem__(self, place: slice) -> list[Step]: ...

    def __getitem__(self, place: int | slice) -> Step | list[Step]:
        if isinstance(place, slice):
            return [self[index] for index in range(*place.indices(len(self)))]
        index = range(len(self))[place]
        key = index, self._view.stamp
        if key not in self._known:
            self._known[key] = _load_step(self._view._source, index)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return self._known[key]


def open_view(path: Path, blobs: Path | None = None) -> tuple[EpisodeView, Scan]:
    """The episode in the file as far as it can be had at once, and the scan that goes on. OSError if there is none."""
    scan = Scan(path, blobs)
    return EpisodeView(path.stem, scan, scan.checked.problems, last_event(path)), scan


def load_view(path: Path, blobs: Path | None = None) -> EpisodeView:
    """The episode in the file, up to its first damage if there is any. OSError if there is no such file."""
    scan = Scan(path, blobs, check_blobs=True)
    scan.go_on()
    return EpisodeView(path.stem, scan, scan.checked.problems)


class _Told:
    """Events that are no file."""

    share, partial = 1.0, 0

    def __init__(self, events: Iterable[Event]) -> None:
        self.index, self._events = Index(), list(events)
        for line, event in enumerate(self._events):
            self.index.take(line, event)

    def read(self, first: int, after: int) -> Iterator[tuple[int, Event, str | None]]:
        return ((line, self._events[line], None) for line in range(first, min(after, len(self._events))))


def fold(events: Iterable[Event], *, name: str = "") -> EpisodeView:
    return EpisodeView(name, _Told(events), [])


class _Lines:
    """The events of some lines, sorted by what they are."""

    def __init__(self) -> None:
        self.said: list[Message] = []
        self.waits: list[Wait] = []
        self.evidence: list[Evidence] = []
        self.findings: list[Finding] = []
        self.call: Call | None = None
        self.result: Result | None = None
        self.aftermath: Aftermath | None = None
        self.lost: str | None = None

    def take(self, event: Event, lost: str | None) -> None:
        self.lost = self.lost or lost
        match event.payload:
            case Message() as message:
                self.said.append(message)
            case Wait() as wait:
                self.waits.append(wait)
            case EvidenceSeen(evidence=evidence):
                self.evidence.append(evidence)
            case FindingMade(finding=finding):
                self.findings.append(finding)
            case Call() as call:
                self.call = call
            case Result() as result:
                self.result = result
            case Aftermath() as aftermath:
                self.aftermath = aftermath
            case _:
                pass


def _load_step(source: Source, step: int) -> Step:
    """What stands before its call is what was said; what stands after it, up to the next, is what was seen."""
    index = source.index
    first = index.calls[step - 1] + 1 if step else 0
    call, after = index.calls[step], index.calls[step + 1] if step + 1 < len(index.calls) else index.after
    before, since = _Lines(), _Lines()
    for line, event, lost in source.read(first, call + 1):
        if line == call or isinstance(event.payload, Message | Wait):
            before.take(event, lost)
    for line, event, lost in source.read(call + 1, after):
        if line not in index.strays and isinstance(event.payload, Result | EvidenceSeen | FindingMade):
            since.take(event, lost)
    _take_strays(source, step, since)
    return Step(
        index.numbers[step], index.times[step], before.call or Call(tool="", arguments={}, illegal=_CHANGED),
        tuple(before.said), tuple(before.waits), since.result, tuple(since.evidence), tuple(since.findings),
        before.lost or since.lost,
    )  # fmt: skip


def _load_ending(source: Source, ended: EpisodeEnded | None) -> Ending:
    index, lines = source.index, _Lines()
    first = index.calls[-1] + 1 if index.calls else 0
    for _, event, lost in source.read(first, index.after):
        if isinstance(event.payload, Message | Wait):
            lines.take(event, lost)
    if index.aftermath is not None:
        for _, event, lost in source.read(index.aftermath, index.aftermath + 1):
            lines.take(event, lost)
    _take_strays(source, ENDING, lines)
    return Ending(
        index.now, tuple(lines.said), tuple(lines.waits), lines.aftermath, tuple(lines.evidence),
        tuple(lines.findings), ended, lines.lost,
    )  # fmt: skip


def _take_strays(source: Source, step: int, lines: _Lines) -> None:
    for line in source.index.astray.get(step, ()):
        for _, event, lost in source.read(line, line + 1):
            lines.take(event, lost)
