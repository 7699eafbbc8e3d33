"""The replay of recorded episodes: full screen on a terminal, a plain linear text everywhere else."""

import contextlib
import io
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from corrigym.episodes.keys import RESIZED, STOPPED, Ended, Keys
from corrigym.episodes.pages import EVERYTHING
from corrigym.episodes.reader import State, advance, delay, press, resized, to_step
from corrigym.episodes.render import render_dump
from corrigym.episodes.screen import body_size, frame
from corrigym.episodes.view import EpisodeView, load_view
from corrigym.errors import LogError, UsageError


def replay(
    paths: Sequence[Path],
    *,
    plain: bool = False,
    at: int | None = None,
    speed: float = 1.0,
    idle_limit: float = 2.0,
    pause_on_findings: bool = False,
) -> int:
    """Shows these episode logs, from step `at` of the first, and returns the exit status: 0, or 128 plus the signal.

    UsageError for no path or an impossible speed, LogError if a log cannot be opened.
    """
    if not paths:
        raise UsageError("there is no episode to replay")
    if not speed > 0 or idle_limit < 0:
        raise UsageError(
            f"speed {speed:g} and idle limit {idle_limit:g}: the one must be above 0, the other not below it"
        )
    if isinstance(sys.stdout, io.TextIOWrapper):  # an ASCII or Latin-1 terminal shows escapes instead of marks
        sys.stdout.reconfigure(errors="backslashreplace")
    keys = Keys()
    if plain or not sys.stdout.isatty() or os.environ.get("TERM", "") in ("", "dumb", "unknown"):
        return _dump(paths, at)
    player = _Player(paths, keys, idle_limit, pause_on_findings)
    player.open(0, speed, at)
    try:
        with keys.reading():
            return player.run()
    except Ended as ended:
        return 128 + ended.number


def _dump(paths: Sequence[Path], at: int | None) -> int:
    console = Console(
        force_terminal=False, color_system=None, no_color=True, highlight=False, markup=False, emoji=False
    )  # fmt: skip
    for number, path in enumerate(paths):
        view = _load(path)
        if number:
            console.print()
        pages = None if at is None else [view.page_of(at)]
        console.print(render_dump(view, EVERYTHING, pages), end="", soft_wrap=False)
    return 0


def _load(path: Path) -> EpisodeView:
    try:
        return load_view(path)
    except OSError as error:
        raise LogError(f"{path}: {error.strerror}") from error


class _Player:
    """Ties state, keys and screen together; everything that can be decided without a terminal is in `reader`."""

    def __init__(self, paths: Sequence[Path], keys: Keys, idle_limit: float, pause_on_findings: bool) -> None:
        self._paths, self._keys = paths, keys
        self._idle_limit, self._pause_on_findings = idle_limit, pause_on_findings
        self._console = Console(highlight=False, markup=False, emoji=False)
        self._views: dict[int, EpisodeView] = {}
        self._index = 0
        self.state: State

    def open(self, index: int, speed: float, at: int | None = None) -> None:
        self._index = index
        self.state = State(self._view(index), speed=speed)
        if at is not None:
            self.state = to_step(self.state, at)

    def run(self) -> int:
        with self._screen():
            due = None
            while self.state.mode != "quit":
                self._draw()
                due = self._due(due)
                key = self._keys.next(None if due is None else max(due - time.monotonic(), 0.0))
                before = self.state
                self._react(key)
                if self.state.page != before.page or self.state.speed != before.speed or not before.playing:
                    due = None
        return 0

    def _due(self, due: float | None) -> float | None:
        """When playing goes on to the next page."""
        if not self.state.playing:
            return None
        return time.monotonic() + delay(self.state, self._idle_limit) if due is None else due

    def _react(self, key: str | None) -> None:
        if key is None:
            self.state = advance(self.state, pause_on_findings=self._pause_on_findings)
        elif key == STOPPED:
            self._stop()
        elif key == RESIZED:
            self._keys.grab()  # after a stop from outside the shell has set its own mode
            self._console.set_alt_screen(True)
        else:
            self.state = press(self.state, key)
        if self.state.switch:
            self._switch(self.state.switch)

    def _switch(self, by: int) -> None:
        index, old = self._index + by, replace(self.state, switch=0)
        if not 0 <= index < len(self._paths):
            self.state = replace(old, note="there is no further episode" if by > 0 else "this is the first episode")
            return
        self.open(index, old.speed)
        self.state = replace(self.state, shown=old.shown, width=old.width, height=old.height)

    def _view(self, index: int) -> EpisodeView:
        if index not in self._views:
            self._views = {index: _load(self._paths[index])}
        return self._views[index]

    def _draw(self) -> None:
        width, height = self._console.size
        self.state = resized(self.state, *body_size(self.state, width, height))
        drawn = frame(self.state, width, height, (self._index + 1, len(self._paths)))
        self._console.print(drawn, end="", crop=False, no_wrap=True, overflow="ignore")

    def _stop(self) -> None:
        """Ctrl-Z: the shell gets its terminal back until it says that we go on."""
        self._leave()
        self._keys.release()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._keys.grab()
        self._enter()

    @contextlib.contextmanager
    def _screen(self) -> Iterator[None]:
        try:
            self._enter()
            yield
        finally:
            try:
                self._leave()
            except OSError:  # the terminal is gone; what is still buffered for it must not fail at exit
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _enter(self) -> None:
        self._console.set_alt_screen(True)
        self._console.show_cursor(False)

    def _leave(self) -> None:
        self._console.show_cursor(True)
        self._console.set_alt_screen(False)
