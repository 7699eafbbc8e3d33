"""The replay of recorded episodes: full screen on a terminal, a plain linear text everywhere else."""

import contextlib
import io
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from corrigym.episodes import chooser
from corrigym.episodes.actions import EXPORTS, press
from corrigym.episodes.keys import RESIZED, STOPPED, Ended, Keys
from corrigym.episodes.linear import dump
from corrigym.episodes.pair import Parting, compare_on
from corrigym.episodes.reader import State, advance, delay, grown, resized, to_end, to_step
from corrigym.episodes.scan import Scan
from corrigym.episodes.screen import Frame, body_size, frame
from corrigym.episodes.search import hunt_on, waiting
from corrigym.episodes.view import EpisodeView, open_view
from corrigym.errors import LogError, UsageError

SLICE = 0.02
"""Seconds of reading on or searching between two looks at the keys."""
REDRAW = 0.1
"""Seconds between two redraws while something goes on by itself."""
POLL = 0.25
"""Seconds between two looks at a log that grows."""


@dataclass(frozen=True, slots=True)
class Options:
    """`at`: the step to start at. `pair`: the two episodes stand beside each other. `follow`: episodes that are running
    are read on as their logs grow."""

    plain: bool = False
    at: int | None = None
    speed: float = 1.0
    idle_limit: float = 2.0
    pause_on_findings: bool = False
    follow: bool = False
    pair: bool = False


def replay(paths: Sequence[Path], options: Options | None = None) -> int:
    """Shows these episode logs, one at a time from a list, and returns the exit status: 0, or 128 plus the signal.

    UsageError for no path or an impossible speed, LogError if the log of a single episode cannot be opened.
    """
    options = options or Options()
    if not paths:
        raise UsageError("there is no episode to replay")
    if not options.speed > 0 or options.idle_limit < 0:
        raise UsageError(
            f"speed {options.speed:g} and idle limit {options.idle_limit:g}: the one must be above 0, the other not"
            " below it"
        )
    if isinstance(sys.stdout, io.TextIOWrapper):  # an ASCII or Latin-1 terminal shows escapes instead of marks
        sys.stdout.reconfigure(errors="backslashreplace")
    keys = Keys()
    if options.plain or not sys.stdout.isatty() or os.environ.get("TERM", "") in ("", "dumb", "unknown"):
        return dump(paths, at=options.at, follow=options.follow)
    player = _Player(paths, keys, options)
    try:
        with keys.reading():
            return player.run()
    except Ended as ended:
        return 128 + ended.number


class _Player:
    """Ties states, keys and screen together; everything that can be decided without a terminal is elsewhere.

    `state` is None while the list is shown.
    """

    def __init__(self, paths: Sequence[Path], keys: Keys, options: Options) -> None:
        self._keys, self._options = keys, options
        self._console = Console(highlight=False, markup=False, emoji=False)
        self.choice = chooser.Choice(chooser.Known(list(paths)))
        self.state: State | None = None
        self._scans: list[Scan] = []
        self._speed, self._polled = options.speed, 0.0
        if options.pair:
            self._open(*paths)
        elif len(paths) == 1:
            self._open(paths[0])

    def run(self) -> int:
        due = drawn = None
        with self._screen():
            while not self._left():
                if not self._keys.pending and (drawn is None or time.monotonic() - drawn > REDRAW):
                    self._draw()
                    drawn = time.monotonic()
                due = self._due(due)
                key = self._keys.next(self._patience(due))
                before = self.state
                if key is not None:
                    self._react(key)
                    drawn = None
                elif due is not None and time.monotonic() >= due and self.state:
                    self.state = advance(self.state, pause_on_findings=self._options.pause_on_findings)
                    drawn = None
                elif self._work_off():
                    drawn = None
                if _moved(before, self.state):
                    due = None
        return 0

    def _left(self) -> bool:
        return self.choice.mode == "quit" or (self.state is not None and self.state.mode == "quit")

    def _due(self, due: float | None) -> float | None:
        """When playing goes on to the next page."""
        if self.state is None or not self.state.playing:
            return None
        return time.monotonic() + delay(self.state, self._options.idle_limit) if due is None else due

    def _patience(self, due: float | None) -> float | None:
        """Seconds to wait for a key; None: for as long as it takes."""
        if self._busy():
            return 0.0
        waits = [] if due is None else [max(due - time.monotonic(), 0.0)]
        if self._options.follow:
            waits.append(POLL)
        return min(waits, default=None)

    def _busy(self) -> bool:
        """There is something to do between two keys."""
        if self.state is None:
            return not self.choice.known.done
        hunting = self.state.hunt is not None and not waiting(self.state)
        return hunting or self._comparing(self.state) or not all(scan.done for scan in self._scans)

    @staticmethod
    def _comparing(state: State) -> bool:
        return bool(state.other and state.parting and not state.parting.done(state.view, state.other))

    def _work_off(self) -> bool:
        """Does some of it; True if that, or that it is done now, is to be seen at once."""
        busy, news = self._busy(), self._work()
        return (busy or news) and not self._busy()

    def _work(self) -> bool:
        """Does some of it; True if there is something new to be seen."""
        if self.state is None:
            return self._read_list()
        last, news = self.state.last, False
        for scan in self._scans:
            if not scan.done or self._options.follow:
                news |= scan.go_on(SLICE)
        live = self._options.follow and not self.state.view.ended
        if news or live != self.state.live:
            self.state = grown(replace(self.state, live=live), last)
            news = True
        if self.state.hunt and not waiting(self.state):
            self.state, news = _for_a_slice(self.state), True
        if self._comparing(self.state) and self.state.other and self.state.parting:
            parting = compare_on(self.state.parting, self.state.view, self.state.other, 16)
            self.state, news = replace(self.state, parting=parting), True
        return news

    def _read_list(self) -> bool:
        known = self.choice.known
        if not known.done:
            until = time.monotonic() + SLICE
            while not known.done and time.monotonic() < until:
                known.read_on(4, chooser.seen(self.choice))
            return True
        if time.monotonic() - self._polled < 4 * POLL:
            return False
        self._polled = time.monotonic()
        folders = dict.fromkeys(path.parent for path in known.paths)
        return known.again([path for folder in folders for path in sorted(folder.glob("*.jsonl"))])

    def _react(self, key: str) -> None:
        if key == STOPPED:
            self._stop()
        elif key == RESIZED:
            self._keys.grab()  # after a stop from outside the shell has set its own mode
            self._console.set_alt_screen(True)
        elif self.state is None:
            self._choose(key)
        else:
            self.state = press(self.state, key)
            self._answer(self.state)

    def _choose(self, key: str) -> None:
        self.choice = chooser.press(self.choice, key)
        wanted, here = self.choice.mode, chooser.current(self.choice)
        if wanted not in ("open", "compare"):
            return
        other = self.choice.marked if wanted == "compare" else None
        self.choice = replace(self.choice, mode="list", marked=None)
        if here:
            self._try(*filter(None, (other, here)))

    def _try(self, *paths: Path) -> bool:
        """Opens these; says why not if that cannot be."""
        try:
            self._open(*paths)
        except LogError as error:
            note = str(error).removeprefix(f"{paths[-1].parent}/")
            if self.state:
                self.state = replace(self.state, switch=0, note=note)
            self.choice = replace(self.choice, note=note)
            return False
        return True

    def _open(self, *paths: Path) -> None:
        opened = [_opened(path) for path in paths]
        self._scans = [scan for _, scan in opened]
        views = [view for view, _ in opened]
        for view in views:
            view.growing = self._options.follow
        live = self._options.follow and not views[0].ended
        pair = {"other": views[1], "parting": Parting()} if len(views) > 1 else {}
        self.state = State(views[0], speed=self._speed, live=live, **pair)  # type: ignore[arg-type]
        if self._options.at is not None:
            while not all(scan.done for scan in self._scans) and len(views[0].steps) < self._options.at:
                for scan in self._scans:
                    scan.go_on(SLICE)
            self.state = to_step(self.state, self._options.at)
        elif live:
            self.state = to_end(self.state)

    def _answer(self, state: State) -> None:
        """Does what the state asks for and cannot do itself."""
        self._speed = state.speed
        if state.switch:
            self._switch(state)
        elif state.mode == "list":
            alone = len(self.choice.known.paths) < 2 or self._options.pair
            self.state = replace(state, mode="normal", assets=False) if alone else None
        elif state.export:
            self.state = replace(state, export="", note=self._export(state))

    def _switch(self, old: State) -> None:
        paths = chooser.listed(self.choice)
        index = self.choice.cursor + old.switch
        if old.other or not 0 <= index < len(paths):
            there = "there is no further episode" if old.switch > 0 else "this is the first episode"
            self.state = replace(old, switch=0, note="a pair has no next" if old.other else there)
        elif self._try(paths[index]) and self.state:
            self.choice = chooser.move(self.choice, index)
            self.state = replace(self.state, shown=old.shown, width=old.width, height=old.height)

    def _export(self, state: State) -> str:
        """Writes the episode beside its log, and says so."""
        from corrigym.episodes.export.formats import FORMATS, default_file, write_new
        from corrigym.episodes.export.formats import export as exported

        to = next(name for name in FORMATS if name == EXPORTS[state.export.lower()])
        page = state.page if to == "svg" and 0 < state.page < state.view.last else None
        step = None if page is None else state.view.number(page)
        path = default_file(self._scans[0].path, to, step)
        if any(not scan.done for scan in self._scans):
            return "the log is still being read: try again"
        try:
            write_new(path, exported(state.view, to, step), replace=state.export.isupper())
        except UsageError as error:
            return str(error).replace(str(path), path.name)
        return f"written: {path.name} in {path.parent}"

    def _draw(self) -> None:
        width, height = self._console.size
        drawn: Frame
        if self.state is None:
            self.choice = chooser.fitted(self.choice, height)
            drawn = chooser.frame(self.choice, width, height)
        else:
            self.state = resized(self.state, *body_size(self.state, width, height))
            position = self.choice.cursor + 1, len(chooser.listed(self.choice))
            drawn = frame(self.state, width, height, position)
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


def _moved(before: State | None, now: State | None) -> bool:
    """The moment at which playing goes on is to be worked out anew."""
    if before is None or now is None:
        return True
    return (before.page, before.speed, before.playing) != (now.page, now.speed, now.playing)


def _for_a_slice(state: State) -> State:
    until = time.monotonic() + SLICE
    while state.hunt and not waiting(state) and time.monotonic() < until:
        state = hunt_on(state, 4)
    return state


def _opened(path: Path) -> tuple[EpisodeView, Scan]:
    try:
        view, scan = open_view(path)
    except OSError as error:
        raise LogError(f"{path}: {error.strerror}") from error
    scan.go_on(SLICE)
    return view, scan
