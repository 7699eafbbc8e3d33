"""Search in all that pages show, folded parts too: a few pages at a time, so that nobody waits."""

from collections.abc import Iterator
from dataclasses import replace

from corrigym.episodes.pages import page_rows
from corrigym.episodes.reader import Hit, Hunt, State, go, into_sight, line_of, rows, side_page
from corrigym.episodes.view import EpisodeView

AT_ONCE = 32
"""Pages that are searched before the first answer."""
MOST = 10_000
"""Places after which a search stops."""


def search(state: State, term: str) -> State:
    """Begins to look for the term, whatever its case, on this page and onwards."""
    state = replace(state, term=term, hits=(), hit=0, hunt=Hunt(state.page, state.page) if term else None, note="")
    return hunt_on(state, AT_ONCE)


def hunt_on(state: State, pages: int) -> State:
    """Searches so many more pages; the first place that is found is gone to."""
    for _ in range(pages):
        if state.hunt is None or waiting(state):
            break
        state = _hunt_page(state, state.hunt)
    if state.hunt is None and state.term and not state.hits:
        state = replace(state, note=f"not found: {state.term}")
    return state


def waiting(state: State) -> bool:
    """The search has come to where the log has not been read yet."""
    return state.hunt is not None and state.hunt.next >= state.last and any(view.share < 1 for view in state.views)


def _hunt_page(state: State, hunt: Hunt) -> State:
    places = tuple(
        Hit(hunt.next, side, row, start)
        for side, view in enumerate(state.views)
        if (page := side_page(state, side, hunt.next)) is not None
        for row, start in _places(view, page, state.term)
    )
    first = bool(places) and not state.hits
    state = replace(state, hits=(state.hits + places)[:MOST], hunt=_after(state, hunt))
    if state.hunt is None or len(state.hits) == MOST:
        state = _sorted(state)
    return show_hit(state) if first else state


def _after(state: State, hunt: Hunt) -> Hunt | None:
    page = hunt.next + 1
    if not hunt.around and page > state.last:
        page, hunt = 0, replace(hunt, around=True)
    return None if hunt.around and page >= hunt.origin else replace(hunt, next=page)


def _sorted(state: State) -> State:
    """The search is over: its places in the order of the episode."""
    current = state.hits[state.hit] if state.hits else None
    hits = tuple(sorted(state.hits, key=lambda hit: (hit.page, hit.side, hit.row, hit.start)))
    return replace(state, hits=hits, hit=hits.index(current) if current else 0, hunt=None)


def _places(view: EpisodeView, page: int, term: str) -> Iterator[tuple[int, int]]:
    for index, row in enumerate(page_rows(view, page, colours=False)):
        yield from ((index, start) for start in places(row.text.plain, term))


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


def next_hit(state: State, by: int) -> State:
    if not state.hits:
        return replace(state, note=f"not found: {state.term}" if state.term else "nothing searched for yet: /")
    return show_hit(replace(state, hit=(state.hit + by) % len(state.hits)))


def show_hit(state: State) -> State:
    """Goes to the place, and unfolds what it is in."""
    hit = state.hits[state.hit]
    state = replace(go(state, hit.page), assets=False, playing=False, following=False)
    row = rows(state, hit.side)[hit.row]
    if not state.shown.has(row):
        fold = row.when.removeprefix("-")
        state = replace(state, shown=replace(state.shown, **{fold: not row.when.startswith("-")}))
    return into_sight(state, line_of(state, hit.side, hit.row, hit.start))


def count(state: State) -> str:
    """`3 of 17`, while a search is under way with how far it has come."""
    if not state.hits and state.hunt is None:
        return ""
    if state.hunt is None:
        most = "+" if len(state.hits) == MOST else ""
        return f"{state.hit + 1} of {len(state.hits):,}{most}"
    pages = state.last + 1
    done = (state.hunt.next - state.hunt.origin) % pages
    return f"{len(state.hits):,} so far, searching {100 * done // pages} %"
