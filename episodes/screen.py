"""The viewer's screen: a state drawn as exactly as many lines as there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich.console import Console, ConsoleOptions, RenderResult
from rich.control import Control
from rich.segment import ControlType, Segment
from rich.text import Text

from corrigym.episodes.actions import EXPORTS
from corrigym.episodes.look import DIM, WARN
from corrigym.episodes.pair import told
from corrigym.episodes.reader import Hit, State, beside, found, length, lines, rows, side_page
from corrigym.episodes.render import header_lines, timeline_lines
from corrigym.episodes.rows import Line, crop
from corrigym.episodes.search import count, places
from corrigym.episodes.text import line

PANEL_FROM = 110
"""Columns from which on the assets stand beside the page."""
BAR = " │ "
HELP = (
    ("right l .  left h ,", "next, previous step"), ("] [", "next, previous finding"),
    ("g G  0 to 9", "briefing, ending; seek to 0 to 90 %"), (": N", "go to step N"),
    ("j k PgUp PgDn ^D ^U", "scroll in a step"), ("/ n N", "search, folded parts too; next, previous match"),
    ("space  + -", "play, pause, in recorded time; faster, slower"),
    ("t o e d", "unfold thinking, outputs, all evidence, how assets changed"),
    ("a", "protected assets and the finding's evidence, in full"), ("p", "what the agent was told, and back"),
    ("f", "only steps with findings"), ("=", "where two episodes part (--compare)"),
    ("x", "export this episode"), ("H L  esc", "previous, next episode of the run; their list"), ("q", "quit"),
    ("", ""), ("○ ◔ ◐ ●", "considered, probed, attempted, effected"),
    ("◇ ◆", "the ending; the retraining that was due"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Frame:
    """The whole screen; each line is cleared before it is written, so that nothing of the last frame stays."""

    lines: Sequence[Text]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Control.home()
        for number, text in enumerate(self.lines):
            yield Control((ControlType.ERASE_IN_LINE, 2))
            yield from text.render(console)
            if number + 1 < len(self.lines):
                yield Segment.line()


def body_size(state: State, width: int, height: int) -> tuple[int, int]:
    """Columns and lines that remain for the page, or for each of two: a rule above, the keys below."""
    above = len(_top(state, width, (1, 1)))
    if state.other:
        return max((width - len(BAR)) // 2, 4), max(height - above - 1, 1)
    return width - _panel_width(state, width), max(height - above - 1, 1)


def frame(state: State, width: int, height: int, position: tuple[int, int] = (1, 1)) -> Frame:
    """The state drawn for a window of this size; `state` has been `resized` to `body_size`."""
    top = _top(state, width, position)
    body = _help() if state.mode == "help" else _body(state, width)
    body += [Text()] * (state.height - len(body))
    above = [*top, *body[: state.height]][: max(height - 1, 0)]
    return Frame([crop(text, width) for text in (*above, _footer(state, width, position[1]))])


def _top(state: State, width: int, position: tuple[int, int]) -> list[Text]:
    if state.other is None:
        page = min(state.page, state.view.last)
        return [
            *header_lines(state.view, width, position), *timeline_lines(state.view, page, width), _rule(width)
        ]  # fmt: skip
    half = max((width - len(BAR)) // 2, 4)
    heads = [header_lines(view, half) for view in state.views]
    parted = Text(told(state.parting, *state.views), WARN) if state.parting else Text()
    tracks = [timeline_lines(view, _standing(state, side), half) for side, view in enumerate(state.views)]
    return [*side_by_side(heads, half), *side_by_side(tracks, half), parted, _rule(width)]


def _standing(state: State, side: int) -> int:
    page = side_page(state, side)
    return state.views[side].last if page is None else page


def _panel_width(state: State, width: int) -> int:
    if width < PANEL_FROM or state.assets or state.mode == "help":
        return 0
    return len(BAR) + min(max(width * 36 // 100, 40), 72)


def _rule(width: int) -> Text:
    return Text("─" * width, DIM)


def _body(state: State, width: int) -> list[Text]:
    if state.other:
        return side_by_side([_seen(state, side) for side in range(2)], state.width)
    room = _panel_width(state, width) - len(BAR)
    if room < 0:
        return _seen(state, 0)
    panel = [known.text for known in beside(state, room)]
    if len(panel) > state.height:
        more = Text(f"… {len(panel) - state.height + 1} more lines: a", DIM)
        panel = [*panel[: state.height - 1], more]
    return side_by_side([_seen(state, 0), panel], state.width, state.height)


def side_by_side(columns: Sequence[Sequence[Text]], width: int, height: int = 0) -> list[Text]:
    """The columns with a bar between them, the first of them `width` wide, at least `height` lines of them."""
    longest = max(height, *map(len, columns))
    padded = [list(column) + [Text()] * (longest - len(column)) for column in columns]
    joined = []
    for left, right in zip_longest(*padded):
        left = crop(left, width)
        bar = Text(" " * (width - left.cell_len) + BAR, DIM)
        joined.append(Text.assemble(left, bar, right))
    return joined


def _seen(state: State, side: int) -> list[Text]:
    if side_page(state, side) is None:
        return [Text(f"  this episode ended after {len(state.views[side].steps)} steps", DIM)]
    visible = lines(state, side)[state.scroll : state.scroll + state.height]
    return [_marked(state, side, known) for known in visible]


def _marked(state: State, side: int, known: Line) -> Text:
    """The line with the finding that is looked at underlined, and the search term marked; the match that was gone to
    stands out."""
    row = rows(state, side)[known.row]
    text, term = known.text, state.term
    if row.finding is not None and len(found(state)) > 1:
        text = text.copy()
        cursor = min(state.cursor, len(found(state)) - 1)
        here = sum(of < side for of, _ in found(state)) + row.finding == cursor
        text.stylize("underline" if here else "", known.lead)
    if not term:
        return text
    text = text.copy()
    for start in places(row.text.plain, term):
        first = max(start - known.start, 0)
        after = min(start + len(term) - known.start, len(text) - known.lead)
        if first < after:
            current = state.hits and state.hits[state.hit] == Hit(state.page, side, known.row, start)
            text.stylize("reverse bold" if current else "underline bold", first + known.lead, after + known.lead)
    return text


def _help() -> list[Text]:
    return [Text.assemble((f"  {keys:<22}", "bold"), meaning) for keys, meaning in HELP]


def _footer(state: State, width: int, episodes: int) -> Text:
    if state.mode in ("search", "goto"):
        return Text.assemble(("/" if state.mode == "search" else ":", "bold"), line(state.typed), "▏")
    if state.mode == "export":
        names = "  ".join(f"{key} {name}" for key, name in EXPORTS.items())
        return Text.assemble(("export as  ", "bold"), names, ("  (capital: replace the file)  any other key: no", DIM))
    left, right = Text(), Text(_place(state), DIM)
    if state.live:
        left.append("● live  " if state.following else "○ live  ", "green")
    if state.playing:
        left.append(f"▶ {state.speed:g}x  ", "green")
    if state.findings_only:
        left.append("findings only  ", "cyan")
    room = max(width - right.cell_len - 2, 0)
    if state.note:
        left.append(line(state.note), WARN)
    else:
        left.append(_hints(state, room - left.cell_len, episodes), DIM)
    left = crop(left, room)
    return Text.assemble(left, " " * (width - right.cell_len - left.cell_len), right)


def _hints(state: State, room: int, episodes: int) -> str:
    """The keys that matter now, the most important first, as many as there is room for."""
    if state.mode == "help":
        return "any key goes back"
    if state.assets:
        return "a back to the step  jk scroll  ][ finding"
    folds = {row.when.removeprefix("-") for side in range(len(state.views)) for row in rows(state, side)}
    known = ["? help", "q quit", "nN match" * bool(state.hits), "←→ step"]
    known += [
        "= parting" * bool(state.parting and state.parting.calls),
        "][ finding" * any(view.any_findings for view in state.views),
    ]
    known += ["jk scroll" * (length(state) > state.height), "d changes" * ("diff" in folds)]
    known += ["t thinking" * ("thinking" in folds), "e evidence" * ("evidence" in folds), "a assets"]
    known += [
        "HL episode  esc list" * (episodes > 1 and not state.other),
        "/ search",
        "space play",
        "G newest" * state.live,
    ]
    text = ""
    for hint in filter(None, known):
        if len(text) + len(hint) + 2 > room:
            break
        text += hint + "  "
    return text.rstrip()


def _place(state: State) -> str:
    """How far the search and the reading have come, and which lines of the page are seen, where not all are."""
    shares = [view.share for view in state.views if view.share < 1]
    parts = [f"match {count(state)}" if state.term and count(state) else ""]
    parts += [f"reading {min(shares):.0%}" if shares else ""]
    total = length(state)
    if total > state.height and state.mode != "help":
        parts.append(f"{state.scroll + 1}-{min(state.scroll + state.height, total)} of {total}")
    return "  ".join(filter(None, parts))
