"""What keys do to the viewer's state."""

from collections.abc import Callable
from dataclasses import replace

from corrigym.episodes.reader import (
    SPEEDS,
    State,
    finding,
    go,
    into_sight,
    lines,
    rows,
    scroll,
    stage,
    step,
    to_end,
    to_step,
)
from corrigym.episodes.search import next_hit, search

EXPORTS = {"h": "html", "s": "svg", "c": "cast", "m": "markdown", "j": "json"}
"""Keys of the formats; the capital replaces a file that exists."""
_MISSING = {
    "thinking": "no thinking here", "outputs": "no output here", "evidence": "no more evidence here",
    "diff": "nothing changed here",
}  # fmt: skip


def press(state: State, key: str) -> State:
    """What the state is after this key."""
    if state.mode in ("search", "goto"):
        return _type(state, key)
    if state.mode == "help":
        return replace(state, mode="quit" if key == "q" else "normal")
    if state.mode == "export":
        return replace(state, mode="normal", export=key if key.lower() in EXPORTS else "")
    state = replace(state, note="")
    if key.isdecimal() and key.isascii():
        return go(state, round(int(key) / 10 * state.last))
    action = ACTIONS.get(key)
    return action(state) if action else state


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


def _unfold(state: State, fold: str) -> State:
    """Folds or unfolds; what was unfolded comes into sight if nothing of it is."""
    now = not getattr(state.shown, fold)
    state = scroll(replace(state, assets=False, shown=replace(state.shown, **{fold: now})), 0)
    for side in range(len(state.views)):
        known = rows(state, side)
        mine = [number for number, line in enumerate(lines(state, side)) if known[line.row].when == fold]
        if now and mine and not set(mine) & set(range(state.scroll, state.scroll + state.height)):
            return into_sight(state, mine[0])
        if mine:
            return state
    if any(row.when.removeprefix("-") == fold for side in range(len(state.views)) for row in rows(state, side)):
        return state
    return replace(state, note=f"{_MISSING[fold]}; {fold} {'shown' if now else 'folded'} from now on")


def _prompt(state: State) -> State:
    if state.page == 0:
        return go(state, state.left or 0)
    return replace(go(state, 0), left=state.page)


def _findings_only(state: State) -> State:
    if not any(stage(state, page) for page in range(state.last + 1)):
        return replace(state, note="this episode has no findings")
    state = replace(state, findings_only=not state.findings_only)
    if not state.findings_only:
        return replace(state, note="all steps")
    on_finding = state if stage(state, state.page) else finding(state, 1)
    on_finding = on_finding if stage(on_finding, on_finding.page) else finding(state, -1)
    return replace(on_finding, note="only steps with findings")


def _play(state: State) -> State:
    if not state.playing and state.page == state.last:
        state = go(state, 0)
    return replace(state, playing=not state.playing, following=False)


def _faster(state: State, by: int) -> State:
    slower, faster = [s for s in SPEEDS if s < state.speed], [s for s in SPEEDS if s > state.speed]
    speed = (faster[:1] if by > 0 else slower[-1:]) or [state.speed]
    return replace(state, speed=speed[0], note=f"speed {speed[0]:g}")


def _parting(state: State) -> State:
    if state.parting is None:
        return replace(state, note="there is one episode only: replay --compare A B")
    if state.parting.calls is None:
        return replace(state, note="they are not known to part")
    return go(state, state.parting.calls)


def _assets(state: State) -> State:
    return replace(state, assets=not state.assets, scroll=0)


ACTIONS: dict[str, Callable[[State], State]] = {
    **dict.fromkeys(("right", "l", "."), lambda state: step(state, 1)),
    **dict.fromkeys(("left", "h", ","), lambda state: step(state, -1)),
    "]": lambda state: finding(state, 1),
    "[": lambda state: finding(state, -1),
    **dict.fromkeys(("g", "home"), lambda state: go(state, 0)),
    **dict.fromkeys(("G", "end"), to_end),
    **dict.fromkeys(("j", "down"), lambda state: scroll(state, 1)),
    **dict.fromkeys(("k", "up"), lambda state: scroll(state, -1)),
    "pgdn": lambda state: scroll(state, max(state.height - 1, 1)),
    "pgup": lambda state: scroll(state, -max(state.height - 1, 1)),
    "ctrl-d": lambda state: scroll(state, max(state.height // 2, 1)),
    "ctrl-u": lambda state: scroll(state, -max(state.height // 2, 1)),
    " ": _play,
    "+": lambda state: _faster(state, 1),
    "-": lambda state: _faster(state, -1),
    "t": lambda state: _unfold(state, "thinking"),
    "o": lambda state: _unfold(state, "outputs"),
    "e": lambda state: _unfold(state, "evidence"),
    "d": lambda state: _unfold(state, "diff"),
    "a": _assets,
    "p": _prompt,
    "=": _parting,
    "f": _findings_only,
    "/": lambda state: replace(state, mode="search", typed="", playing=False),
    ":": lambda state: replace(state, mode="goto", typed="", playing=False),
    "n": lambda state: next_hit(state, 1),
    "N": lambda state: next_hit(state, -1),
    "x": lambda state: replace(state, mode="export", playing=False),
    "?": lambda state: replace(state, mode="help", playing=False),
    "H": lambda state: replace(state, switch=-1),
    "L": lambda state: replace(state, switch=1),
    "esc": lambda state: replace(state, mode="list"),
    "q": lambda state: replace(state, mode="quit"),
}
