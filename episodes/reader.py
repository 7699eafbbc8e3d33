"""The player's state and what keys do to it: pure, without a terminal."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal

from corrigym.episodes.pages import Shown, page_rows
from corrigym.episodes.rows import Line, Row, lay
from corrigym.episodes.view import EpisodeView

Mode = Literal["normal", "search", "goto", "help", "quit"]
SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


@dataclass(frozen=True, slots=True)
class Hit:
    """A place where the search term stands: page, index of the row, offset in the row's text."""

    page: int
    row: int
    start: int


@dataclass(frozen=True, slots=True)
class State:
    """Where the reader is. `height` and `width` are those of the page's area, given by whoever draws."""

    view: EpisodeView
    page: int = 0
    scroll: int = 0
    width: int = 80
    height: int = 16
    shown: Shown = field(default_factory=Shown)
    findings_only: bool = False
    playing: bool = False
    speed: float = 1.0
    mode: Mode = "normal"
    typed: str = ""
    term: str = ""
    hits: tuple[Hit, ...] = ()
    hit: int = 0
    note: str = ""
    switch: int = 0
    """-1 or 1: the user asked for the previous or next episode of the run."""
    left: int | None = None
    """The page that `p` came from."""


@lru_cache(maxsize=8)
def laid(view: EpisodeView, page: int, shown: Shown, width: int) -> tuple[tuple[Row, ...], tuple[Line, ...]]:
    """A page's rows and its lines at this width."""
    rows = tuple(page_rows(view, page, shown))
    return rows, tuple(lay(rows, width))


def lines(state: State) -> tuple[Line, ...]:
    return laid(state.view, state.page, state.shown, state.width)[1]


def press(state: State, key: str) -> State:
    """What the state is after this key."""
    if state.mode in ("search", "goto"):
        return _type(state, key)
    if state.mode == "help":
        return replace(state, mode="quit" if key == "q" else "normal")
    state = replace(state, note="")
    if key.isdecimal() and key.isascii():
        return go(state, round(int(key) / 10 * state.view.last))
    action = _ACTIONS.get(key)
    return action(state) if action else state


def go(state: State, page: int) -> State:
    page = min(max(page, 0), state.view.last)
    return state if page == state.page else replace(state, page=page, scroll=0, left=None)


def to_step(state: State, number: int) -> State:
    return go(state, state.view.page_of(number))


def scroll(state: State, by: int) -> State:
    return replace(state, scroll=min(max(state.scroll + by, 0), max(len(lines(state)) - state.height, 0)))


def resized(state: State, width: int, height: int) -> State:
    """The same place in a window of another size: the line that was on top stays on top."""
    if (width, height) == (state.width, state.height):
        return state
    before = lines(state)
    top = before[min(state.scroll, len(before) - 1)] if before else None
    state = replace(state, width=width, height=max(height, 1))
    return state if top is None else replace(scroll(state, 0), scroll=_line_of(state, top.row, top.start))


def advance(state: State, *, pause_on_findings: bool = False) -> State:
    """What playing does when the recorded time to the next page is over."""
    after = step(state, 1)
    stop = after.page in (state.page, state.view.last) or (pause_on_findings and after.view.findings(after.page))
    return replace(after, playing=not stop, note="")


def delay(state: State, idle_limit: float) -> float:
    """Seconds until `advance`, in recorded time, none longer than the idle limit."""
    gap = state.view.time(min(state.page + 1, state.view.last)) - state.view.time(state.page)
    return min(max(gap, 0.0), idle_limit) / state.speed


def step(state: State, by: int) -> State:
    if state.findings_only:
        return finding(state, by)
    return go(state, state.page + by)


def finding(state: State, by: int) -> State:
    """To the next or previous page that has findings."""
    pages = range(state.page + 1, state.view.pages) if by > 0 else range(state.page - 1, -1, -1)
    page = next((page for page in pages if state.view.findings(page)), None)
    if page is None:
        return replace(state, note="no finding after this one" if by > 0 else "no finding before this one")
    return go(state, page)


def search(state: State, term: str) -> State:
    """All places of the term in all that is shown, whatever its case; the first one from this page on is gone to."""
    found = replace(state, term=term, hits=tuple(_hits(state, term)) if term else (), hit=0)
    if not found.hits:
        return replace(found, note=f"not found: {term}" if term else "")
    here = next((index for index, hit in enumerate(found.hits) if hit.page >= state.page), 0)
    return _show_hit(replace(found, hit=here))


def _hits(state: State, term: str) -> list[Hit]:
    hits = []
    for page in range(state.view.pages):
        for index, row in enumerate(page_rows(state.view, page, state.shown)):
            hits += [Hit(page, index, start) for start in places(row.text.plain, term)]
    return hits


def places(text: str, term: str) -> list[int]:
    """Where the term begins in the text. A few letters grow when lowered: then case counts."""
    low, small = text.lower(), term.lower()
    if len(low) != len(text) or len(small) != len(term):
        low, small = text, term
    found, start = [], low.find(small)
    while start >= 0:
        found.append(start)
        start = low.find(small, start + len(small))
    return found


def _next_hit(state: State, by: int) -> State:
    if not state.hits:
        return replace(state, note=f"not found: {state.term}" if state.term else "nothing searched for yet: /")
    return _show_hit(replace(state, hit=(state.hit + by) % len(state.hits)))


def _show_hit(state: State) -> State:
    hit = state.hits[state.hit]
    state = go(state, hit.page)
    place = _line_of(state, hit.row, hit.start)
    if not state.scroll <= place < state.scroll + state.height:
        state = scroll(replace(state, scroll=0), place - state.height // 3)
    return replace(state, note=f"{state.hit + 1} of {len(state.hits)}", playing=False)


def _line_of(state: State, row: int, start: int) -> int:
    """The line on which this place of the page stands."""
    known = lines(state)
    return max((number for number, line in enumerate(known) if (line.row, line.start) <= (row, start)), default=0)


def _type(state: State, key: str) -> State:
    """A key while a search term or a step number is typed."""
    if key == "esc":
        return replace(state, mode="normal", typed="")
    if key == "backspace":
        return replace(state, typed=state.typed[:-1], mode=state.mode if state.typed else "normal")
    if key == "enter":
        done = replace(state, mode="normal", typed="")
        if state.mode == "search":
            return search(done, state.typed or state.term)
        return to_step(done, int(state.typed)) if state.typed else done
    if len(key) > 1 or (state.mode == "goto" and not (key.isascii() and key.isdecimal() and len(state.typed) < 9)):
        return state
    return replace(state, typed=state.typed + key)


def _show(state: State, **changes: bool) -> State:
    """Other things unfolded: the hits of a search are counted anew."""
    state = scroll(replace(state, shown=replace(state.shown, **changes)), 0)
    return replace(state, hits=tuple(_hits(state, state.term)), hit=0) if state.term else state


def _prompt(state: State) -> State:
    if state.page == 0:
        return go(state, state.left or 0)
    return replace(go(state, 0), left=state.page)


def _findings_only(state: State) -> State:
    if not any(state.view.findings(page) for page in range(state.view.pages)):
        return replace(state, note="this episode has no findings")
    state = replace(state, findings_only=not state.findings_only)
    if not state.findings_only:
        return replace(state, note="all steps")
    on_finding = state if state.view.findings(state.page) else finding(state, 1)
    on_finding = on_finding if on_finding.view.findings(on_finding.page) else finding(state, -1)
    return replace(on_finding, note="only steps with findings")


def _play(state: State) -> State:
    if not state.playing and state.page == state.view.last:
        state = go(state, 0)
    return replace(state, playing=not state.playing)


def _faster(state: State, by: int) -> State:
    slower, faster = [s for s in SPEEDS if s < state.speed], [s for s in SPEEDS if s > state.speed]
    speed = (faster[:1] if by > 0 else slower[-1:]) or [state.speed]
    return replace(state, speed=speed[0], note=f"speed {speed[0]:g}")


_ACTIONS: dict[str, Callable[[State], State]] = {
    **dict.fromkeys(("right", "l", "."), lambda state: step(state, 1)),
    **dict.fromkeys(("left", "h", ","), lambda state: step(state, -1)),
    "]": lambda state: finding(state, 1),
    "[": lambda state: finding(state, -1),
    **dict.fromkeys(("g", "home"), lambda state: go(state, 0)),
    **dict.fromkeys(("G", "end"), lambda state: go(state, state.view.last)),
    **dict.fromkeys(("j", "down"), lambda state: scroll(state, 1)),
    **dict.fromkeys(("k", "up"), lambda state: scroll(state, -1)),
    "pgdn": lambda state: scroll(state, max(state.height - 1, 1)),
    "pgup": lambda state: scroll(state, -max(state.height - 1, 1)),
    "ctrl-d": lambda state: scroll(state, max(state.height // 2, 1)),
    "ctrl-u": lambda state: scroll(state, -max(state.height // 2, 1)),
    " ": _play,
    "+": lambda state: _faster(state, 1),
    "-": lambda state: _faster(state, -1),
    "t": lambda state: _show(state, thinking=not state.shown.thinking),
    "o": lambda state: _show(state, outputs=not state.shown.outputs),
    "e": lambda state: _show(state, evidence=not state.shown.evidence),
    "p": _prompt,
    "f": _findings_only,
    "/": lambda state: replace(state, mode="search", typed="", playing=False),
    ":": lambda state: replace(state, mode="goto", typed="", playing=False),
    "n": lambda state: _next_hit(state, 1),
    "N": lambda state: _next_hit(state, -1),
    "?": lambda state: replace(state, mode="help", playing=False),
    "H": lambda state: replace(state, switch=-1),
    "L": lambda state: replace(state, switch=1),
    "q": lambda state: replace(state, mode="quit"),
}
