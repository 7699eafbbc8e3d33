"""How far a run is: a bar that moves on a terminal, a line for each episode elsewhere. Always on stderr."""

import threading
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from corrigym.studies.runner import Observer, Outcome, Planned

QUIET = 5.0
"""Seconds between two lines about the same long work, where they stay on the screen."""


class RunProgress:
    def __init__(self, console: Console, episodes: int) -> None:
        self._console, self._total, self._done, self._guard = console, episodes, 0, threading.Lock()
        self._quiet_until = 0.0
        self._bar = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            console=console, disable=not console.is_terminal, transient=True,
        )  # fmt: skip
        self._overall = self._bar.add_task("episodes", total=episodes)

    def note(self, message: str) -> None:
        self._console.print(escape(message), style="dim", soft_wrap=True)

    def preparing(self, message: str) -> None:
        """Of the many lines of a build: the newest one on a terminal, one every few seconds elsewhere."""
        if self._console.is_terminal:
            self._bar.update(self._overall, description=escape(message[:60]))
        elif time.monotonic() >= self._quiet_until:
            self._quiet_until = time.monotonic() + QUIET
            self.note(message)

    def observer(self) -> Observer:
        return Observer(on_start=self._started, on_step=self._stepped, on_end=self._ended)

    def _started(self, planned: Planned) -> None:
        self._bar.update(self._overall, description=escape(f"{planned.scenario.id} world {planned.world}"))

    def _stepped(self, planned: Planned, step: int) -> None:
        self._bar.update(self._overall, description=escape(f"{planned.scenario.id} world {planned.world} step {step}"))

    def _ended(self, outcome: Outcome) -> None:
        with self._guard:
            self._done += 1
            self._bar.advance(self._overall)
            if not self._console.is_terminal:
                self.note(f"[{self._done}/{self._total}] {outcome.planned.id}: {outcome.status}")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
