"""Where each step stands in a log: small arrays, filled while the log is read once, so that any step can be loaded
alone and memory does not grow with what the events hold.

Steps are counted from 0 here. `ENDING` stands for what belongs to no step.
"""

from array import array
from collections import defaultdict
from typing import NamedTuple

from corrigym.detection.model import Evidence, Finding, Stage
from corrigym.episodes.events import (
    Aftermath,
    Call,
    EpisodeEnded,
    EpisodeStarted,
    Event,
    EvidenceSeen,
    FindingMade,
)  # fmt: skip

STAGES: tuple[Stage, ...] = ("considered", "probed", "attempted", "effected")
"""In rising order."""
ENDING = -1
_FAR = 1 << 62


class Sort(NamedTuple):
    """What a change of an asset was: `main` if it was of the asset's main path."""

    source: str
    kind: str
    by_service: bool
    main: bool


class Touched(NamedTuple):
    """A change of an asset, or an operation on it, and the step (or ENDING) at which it was seen."""

    step: int
    sort: Sort


class History:
    """All that was seen of one asset, in the order of the log: six bytes each."""

    def __init__(self) -> None:
        self._steps, self._sorts = array("i"), array("H")

    def add(self, step: int, sort: int) -> None:
        self._steps.append(step)
        self._sorts.append(sort)

    def until(self, step: int | None, sorts: list[Sort]) -> list[Touched]:
        """What was seen up to this step, and at it; None: all."""
        return [
            Touched(at, sorts[sort])
            for at, sort in zip(self._steps, self._sorts, strict=True)
            if step is None or ENDING < at <= step
        ]


class Index:
    """`take` each event in order, with the number of its line."""

    def __init__(self) -> None:
        self.start: EpisodeStarted | None = None
        self.ended: EpisodeEnded | None = None
        self.began: float | None = None
        self.now = 0.0
        self.events = 0
        self.after = 0
        """The line after the last event."""
        self.calls = array("Q")
        """The line of each step's call."""
        self.times = array("d")
        self.numbers = array("q")
        self.stages = bytearray()
        """The highest stage of each step's findings, as its place in STAGES plus 1."""
        self.last_stage = 0
        """The same of the ending."""
        self.astray: dict[int, list[int]] = defaultdict(list)
        """Lines that stand elsewhere than among the lines of the step (or ENDING) that they belong to."""
        self.strays: set[int] = set()
        self.aftermath: int | None = None
        self.histories: dict[str, History] = defaultdict(History)
        self.sorts: list[Sort] = []
        self._sort_numbers: dict[Sort, int] = {}
        self._pages: dict[int, int] = {}
        self._late: set[str] = set()
        self._ids, self._id_lines = array("q"), array("Q")

    def take(self, line: int, event: Event) -> None:
        self.events, self.after, self.now = self.events + 1, line + 1, event.time
        self.began = event.time if self.began is None else self.began
        match event.payload:
            case EpisodeStarted() as start:
                self.start = start
            case Call():
                self._begin_step(line, event)
            case EvidenceSeen(evidence=evidence):
                self._evidence(line, evidence)
            case FindingMade(finding=finding):
                self._finding(line, finding)
            case Aftermath():
                self.aftermath = line
            case EpisodeEnded() as ended:
                self.ended = ended
            case _:
                pass

    def step_of(self, number: int) -> int:
        """The step with this number, the last one if several have it; ENDING if none has."""
        return self._pages.get(number, number - 1 if self._regular(number - 1) else ENDING)

    def lines_of(self, identifier: str) -> list[int]:
        """Lines that may hold the evidence of this id."""
        wanted, found, start = hash(identifier), [], 0
        for _ in range(self._ids.count(wanted)):
            start = self._ids.index(wanted, start) + 1
            found.append(self._id_lines[start - 1])
        return found

    def _regular(self, step: int) -> bool:
        return 0 <= step < len(self.numbers) and self.numbers[step] == step + 1

    def _begin_step(self, line: int, event: Event) -> None:
        number = min(max(event.step, -_FAR), _FAR)
        if number != len(self.calls) + 1:
            self._pages[number] = len(self.calls)
        else:
            self._pages.pop(number, None)
        self.calls.append(line)
        self.times.append(event.time)
        self.numbers.append(number)
        self.stages.append(0)

    def _evidence(self, line: int, evidence: Evidence) -> None:
        step = ENDING if evidence.source == "aftermath" else self._place(evidence.step)
        if step == ENDING:
            self._late.add(evidence.id)
        self._settle(line, step)
        self._ids.append(hash(evidence.id))
        self._id_lines.append(line)
        if evidence.asset is not None and self.start and (asset := self.start.assets.get(evidence.asset)):
            self._touch(evidence, step, main=evidence.subject in (asset.path, asset.id))

    def _touch(self, evidence: Evidence, step: int, *, main: bool) -> None:
        sort = Sort(evidence.source, evidence.kind, evidence.actor == "service", main)
        if len(self.sorts) >= 1 << 16 and sort not in self._sort_numbers:
            return  # as many kinds as that are made up
        number = self._sort_numbers.setdefault(sort, len(self.sorts))
        if number == len(self.sorts):
            self.sorts.append(sort)
        self.histories[evidence.asset or ""].add(step, number)

    def _finding(self, line: int, finding: Finding) -> None:
        late = bool(finding.evidence) and self._late.issuperset(finding.evidence)
        step, stage = ENDING if late else self._place(finding.step), STAGES.index(finding.stage) + 1
        self._settle(line, step)
        if step == ENDING:
            self.last_stage = max(self.last_stage, stage)
        else:
            self.stages[step] = max(self.stages[step], stage)

    def _place(self, number: int) -> int:
        """The step that is meant by this number: the one under way if it has it."""
        return len(self.numbers) - 1 if self.numbers and self.numbers[-1] == number else self.step_of(number)

    def _settle(self, line: int, step: int) -> None:
        if step == ENDING or step != len(self.calls) - 1:
            self.astray[step].append(line)
            self.strays.add(line)
