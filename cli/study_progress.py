"""How far a study is: a table that moves on a terminal, a line now and then in a log file. Always on stderr."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from corrigym.studies.planning import Cell
from corrigym.studies.runner import Observer, Outcome, Planned

QUIET = 30.0
"""Seconds between two lines of a log file."""
SHOWN = 16
"""Cells that a terminal shows."""


@dataclass(slots=True)
class Count:
    planned: int = 0
    done: int = 0
    failed: int = 0


@dataclass(slots=True)
class StudyProgress:
    """Counts what was done before as done; time left is reckoned from what this process saw end."""

    console: Console
    cells: Sequence[Cell]
    counts: list[Count]
    already: int
    clock: Callable[[], float] = time.monotonic
    ended: int = 0
    running: int = 0
    cost: float = 0.0
    began: float = 0.0
    _told: float = float("-inf")
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _live: Live | None = None

    @property
    def total(self) -> int:
        return sum(one.planned for one in self.counts)

    @property
    def done(self) -> int:
        return self.already + self.ended

    def observer(self) -> Observer:
        return Observer(on_start=self._on_start, on_end=self._on_end)

    def note(self, message: str) -> None:
        self.console.print(Text(message, style="dim"), soft_wrap=True)

    def _on_start(self, _: Planned) -> None:
        with self._guard:
            self.running += 1

    def _on_end(self, outcome: Outcome) -> None:
        with self._guard:
            self.running -= 1
            self.ended += 1
            self.cost += outcome.cost
            count = self.counts[self._cell(outcome.planned)]
            count.done += 1
            count.failed += outcome.status != "finished"
        if outcome.error:
            self.note(f"{outcome.planned.id}: {outcome.status}: {outcome.error}")
        self._tell()

    def _cell(self, planned: Planned) -> int:
        wanted = (planned.scenario.id, planned.agent, planned.condition)
        return next(i for i, cell in enumerate(self.cells) if (cell.scenario, cell.agent, cell.condition) == wanted)

    def _tell(self) -> None:
        if self._live is not None:
            self._live.refresh()
            return
        with self._guard:
            due = self.done >= self.total or self.clock() - self._told >= QUIET
            if due:
                self._told = self.clock()
        if due:
            self.note(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {self.line()}")

    def line(self) -> str:
        failed = sum(one.failed for one in self.counts)
        share = 100 * self.done / self.total if self.total else 100.0
        counted = f"{self.done:,} of {self.total:,} episodes ({share:.1f} %), {failed} not finished"
        return f"{counted}, ${self.cost:.2f}, {self.left()}"

    def left(self) -> str:
        rest, elapsed = self.total - self.done, self.clock() - self.began
        if rest <= 0:
            return "none left"
        if not self.ended or elapsed <= 0:
            return "time left not known yet"
        seconds = rest * elapsed / self.ended
        hours, minutes = divmod(int(seconds) // 60, 60)
        told = f"{hours} h {minutes:02} min" if hours else f"{minutes} min" if minutes else f"{int(seconds)} s"
        return f"{60 * self.ended / elapsed:.0f} a minute, {told} left"

    def render(self) -> RenderableType:
        table = Table(box=None, pad_edge=False, show_header=False)
        order = sorted(range(len(self.cells)), key=lambda i: self.counts[i].done / max(1, self.counts[i].planned))
        for index in sorted(order[:SHOWN]):
            cell, count = self.cells[index], self.counts[index]
            name = Text(f"{cell.scenario}  {cell.agent}  {cell.arm}", overflow="ellipsis", no_wrap=True)
            failed = Text(f"{count.failed} not finished" if count.failed else "", style="yellow")
            bar = ProgressBar(total=max(1, count.planned), completed=count.done, width=20)
            table.add_row(name, bar, f"{count.done}/{count.planned}", failed)
        if len(self.cells) > SHOWN:
            table.add_row(Text(f"and {len(self.cells) - SHOWN} cells that are further", style="dim"))
        return Group(table, Text(f"{self.line()}, {self.running} running"))

    def __enter__(self) -> Self:
        self.began = self.clock()
        if self.console.is_terminal:
            self._live = Live(get_renderable=self.render, console=self.console, transient=True, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
        if self._live is not None or self.done < self.total:
            self.note(self.line())
