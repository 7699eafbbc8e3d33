"""The viewer's state, and the ways through an episode, or through two beside each other: pure, without a terminal."""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal

from corrigym.detection.model import Finding, Stage
from corrigym.episodes.index import STAGES
from corrigym.episodes.pages import page_rows
from corrigym.episodes.pair import Parting
from corrigym.episodes.panel import panel_rows
from corrigym.episodes.rows import Line, Row, Shown, lay
from corrigym.episodes.view import EpisodeView

Mode = Literal["normal", "search", "goto", "export", "help", "list", "quit"]
SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


@dataclass(frozen=True, slots=True)
class Hit:
    """A place where the search term stands: page, which of the two episodes, index of the row, offset in its text."""

    page: int
    side: int
    row: int
    start: int


@dataclass(frozen=True, slots=True)
class Hunt:
    """A search under way: from page `origin` to the end and around to it; `next` is looked at next."""

    origin: int
    next: int
    around: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """Where the reader is. `height` and `width` are those of the page's area (of each of two), given by whoever draws.

    `other` is the episode beside the first one. `cursor` is the place of the finding that is looked at among those of
    the page. `following`: the newest step is gone to as soon as it is there.
    """

    view: EpisodeView
    other: EpisodeView | None = None
    page: int = 0
    scroll: int = 0
    cursor: int = 0
    width: int = 80
    height: int = 16
    shown: Shown = field(default_factory=Shown)
    assets: bool = False
    findings_only: bool = False
    playing: bool = False
    live: bool = False
    """The episode is still running, and its log is read on as it grows."""
    following: bool = False
    parting: Parting | None = None
    """Where the two episodes part, as far as it is known."""
    speed: float = 1.0
    mode: Mode = "normal"
    typed: str = ""
    term: str = ""
    hits: tuple[Hit, ...] = ()
    hit: int = 0
    hunt: Hunt | None = None
    note: str = ""
    switch: int = 0
    """-1 or 1: the user asked for the previous or next episode of the run."""
    export: str = ""
    """The letter of the format that the user asked for."""
    left: int | None = None
    """The page that `p` came from."""

    @property
    def views(self) -> tuple[EpisodeView, ...]:
        return (self.view,) if self.other is None else (self.view, self.other)

    @property
    def last(self) -> int:
        return max(view.last for view in self.views)


@lru_cache(maxsize=16)
def _rows(view: EpisodeView, page: int, _: int, assets: int | None) -> tuple[Row, ...]:
    """Of the page, or in full of the panel, for the finding that is looked at."""
    return tuple(page_rows(view, page) if assets is None else panel_rows(view, page, assets, full=True))


@lru_cache(maxsize=16)
def _lines(
    view: EpisodeView, page: int, stamp: int, assets: int | None, shown: Shown, width: int
) -> tuple[Line, ...]:  # fmt: skip
    return tuple(lay(_rows(view, page, stamp, assets), width, shown))


def side_page(state: State, side: int, page: int | None = None) -> int | None:
    """The page of one of two episodes that stands on this page; None if it has fewer steps."""
    view, page = state.views[side], state.page if page is None else page
    if page >= state.last:
        return view.last
    return page if page < view.last else None


def rows(state: State, side: int = 0) -> tuple[Row, ...]:
    page = side_page(state, side)
    view = state.views[side]
    chosen = _chosen_in(state, side)
    return () if page is None else _rows(view, page, view.stamp, (chosen or 0) if state.assets else None)


def lines(state: State, side: int = 0) -> tuple[Line, ...]:
    """A page's lines at this width."""
    page, view = side_page(state, side), state.views[side]
    if page is None:
        return ()
    chosen = _chosen_in(state, side) or 0
    return _lines(view, page, view.stamp, chosen if state.assets else None, state.shown, state.width)


def beside(state: State, width: int) -> tuple[Line, ...]:
    """The panel's lines."""
    chosen = _chosen_in(state, 0) if found(state) else None
    page = min(state.page, state.view.last)
    return _panel(state.view, page, state.view.stamp, -1 if chosen is None else chosen, width)


@lru_cache(maxsize=4)
def _panel(view: EpisodeView, page: int, _: int, chosen: int, width: int) -> tuple[Line, ...]:
    return tuple(lay(panel_rows(view, page, chosen, full=False), width))


def length(state: State) -> int:
    return max(len(lines(state, side)) for side in range(len(state.views)))


def found(state: State) -> list[tuple[int, Finding]]:
    """The findings of this page, each with the episode that it is of."""
    known = []
    for side, view in enumerate(state.views):
        if (page := side_page(state, side)) is not None:
            known += [(side, finding) for finding in view.findings(page)]
    return known


def _chosen_in(state: State, side: int) -> int | None:
    """The place of the finding that is looked at among the page's in this episode."""
    known = found(state)
    if not known:
        return None
    cursor = min(state.cursor, len(known) - 1)
    return cursor - sum(of < side for of, _ in known) if known[cursor][0] == side else None


def stage(state: State, page: int) -> Stage | None:
    """The highest stage of the findings of a page, in either episode."""
    places = ((view, side_page(state, side, page)) for side, view in enumerate(state.views))
    stages = [known for view, place in places if place is not None and (known := view.stage(place))]
    return max(stages, key=STAGES.index, default=None)


def go(state: State, page: int) -> State:
    page = min(max(page, 0), state.last)
    if page == state.page:
        return state
    return replace(state, page=page, scroll=0, cursor=0, left=None, following=False)


def to_step(state: State, number: int) -> State:
    page = state.view.page_of(number)
    return go(state, state.last if page == state.view.last else page)


def to_end(state: State) -> State:
    """To the last page; in a running episode to its newest step, and on with it."""
    return grown(replace(state, following=True), state.last) if state.live else go(state, state.last)


def grown(state: State, last: int) -> State:
    """The same place in an episode that has been read on; `last` was its last page."""
    if state.following:
        page = max(state.last - state.live, 0)
        return state if page == state.page else replace(state, page=page, scroll=0, cursor=0)
    return replace(state, page=state.last) if state.page >= last and last != state.last else state


def scroll(state: State, by: int) -> State:
    return replace(state, scroll=min(max(state.scroll + by, 0), max(length(state) - state.height, 0)))


def resized(state: State, width: int, height: int) -> State:
    """The same place in a window of another size: the line that was on top stays on top."""
    if (width, height) == (state.width, state.height):
        return state
    before = lines(state)
    top = before[min(state.scroll, len(before) - 1)] if before else None
    state = replace(state, width=width, height=max(height, 1))
    return state if top is None else replace(scroll(state, 0), scroll=line_of(state, 0, top.row, top.start))


def advance(state: State, *, pause_on_findings: bool = False) -> State:
    """What playing does when the recorded time to the next page is over."""
    after = step(state, 1)
    stop = after.page in (state.page, state.last) or (pause_on_findings and stage(after, after.page))
    return replace(after, playing=not stop, note="")


def delay(state: State, idle_limit: float) -> float:
    """Seconds until `advance`, in recorded time, none longer than the idle limit."""
    gap = state.view.time(min(state.page + 1, state.view.last)) - state.view.time(min(state.page, state.view.last))
    return min(max(gap, 0.0), idle_limit) / state.speed


def step(state: State, by: int) -> State:
    if state.findings_only:
        return _finding_page(state, by)
    return go(state, state.page + by)


def finding(state: State, by: int) -> State:
    """To the next or previous finding, on this page or another."""
    cursor = min(state.cursor, max(len(found(state)) - 1, 0)) + by
    if 0 <= cursor < len(found(state)):
        return _show_finding(replace(state, cursor=cursor))
    after = _finding_page(state, by)
    if after.page == state.page:
        return after
    return _show_finding(replace(after, cursor=0 if by > 0 else len(found(after)) - 1))


def _finding_page(state: State, by: int) -> State:
    pages = range(state.page + 1, state.last + 1) if by > 0 else range(state.page - 1, -1, -1)
    page = next((page for page in pages if stage(state, page)), None)
    if page is None:
        return replace(state, note="no finding after this one" if by > 0 else "no finding before this one")
    return go(state, page)


def _show_finding(state: State) -> State:
    side, place = found(state)[state.cursor][0], _chosen_in(state, found(state)[state.cursor][0])
    row = next((index for index, row in enumerate(rows(state, side)) if row.finding == place), None)
    return state if row is None else into_sight(state, line_of(state, side, row, 0))


def into_sight(state: State, line: int) -> State:
    """Scrolls so that this line of the page is seen; not at all if it is."""
    if state.scroll <= line < state.scroll + state.height:
        return state
    return scroll(replace(state, scroll=0), line - state.height // 3)


def line_of(state: State, side: int, row: int, start: int) -> int:
    """The line on which this place of the page stands."""
    known = lines(state, side)
    return max((number for number, line in enumerate(known) if (line.row, line.start) <= (row, start)), default=0)
