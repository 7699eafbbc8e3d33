"""The player's screen: a state drawn as exactly as many lines as there are, and how they get onto the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.control import Control
from rich.segment import ControlType, Segment
from rich.text import Text

from corrigym.episodes.look import DIM, WARN
from corrigym.episodes.reader import Hit, State, laid, lines, places
from corrigym.episodes.render import header_lines, timeline_lines
from corrigym.episodes.rows import Line, crop
from corrigym.episodes.text import line

HELP = (
    ("right l .", "next step"), ("left h ,", "previous step"), ("] [", "next, previous finding"),
    ("g G", "briefing, ending"), ("0 to 9", "seek to 0 to 90 %"), (": N", "go to step N"), ("", ""),
    ("j k, PgUp PgDn, ^D ^U", "scroll in a step"), ("/ n N", "search; next, previous match"), ("", ""),
    ("space", "play, pause, in recorded time"), ("+ -", "faster, slower"),
    ("t o e", "unfold thinking, outputs, all evidence"), ("p", "what the agent was told, and back"),
    ("f", "only steps with findings"), ("H L", "previous, next episode of the run"), ("q", "quit"),
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
    """Columns and lines that remain for the page: a rule above it, the keys below it."""
    above = len(header_lines(state.view, width)) + 2
    return width, max(height - above - 2, 1)


def frame(state: State, width: int, height: int, position: tuple[int, int] = (1, 1)) -> Frame:
    """The state drawn for a window of this size; `state` has been `resized` to `body_size`."""
    top = [*header_lines(state.view, width, position), *timeline_lines(state.view, state.page, width), _rule(width)]
    body = _help() if state.mode == "help" else _body(state)
    body += [Text()] * (state.height - len(body))
    above = [*top, *body[: state.height]][: max(height - 1, 0)]
    return Frame([crop(text, width) for text in (*above, _footer(state, width, position[1]))])


def _rule(width: int) -> Text:
    return Text("─" * width, DIM)


def _body(state: State) -> list[Text]:
    visible = lines(state)[state.scroll : state.scroll + state.height]
    return [_marked(state, known) for known in visible] if state.term else [known.text for known in visible]


def _marked(state: State, known: Line) -> Text:
    """The line with the search term in it marked; the match that was gone to stands out."""
    row = laid(state.view, state.page, state.shown, state.width)[0][known.row]
    text, length = known.text.copy(), len(state.term)
    for start in places(row.text.plain, state.term):
        first = max(start - known.start, 0)
        after = min(start + length - known.start, len(text) - known.lead)
        if first < after:
            current = state.hits and state.hits[state.hit] == Hit(state.page, known.row, start)
            text.stylize("reverse bold" if current else "underline bold", first + known.lead, after + known.lead)
    return text


def _help() -> list[Text]:
    return [Text.assemble((f"  {keys:<24}", "bold"), meaning) for keys, meaning in HELP]


def _footer(state: State, width: int, episodes: int) -> Text:
    if state.mode in ("search", "goto"):
        return Text.assemble(("/" if state.mode == "search" else ":", "bold"), line(state.typed), "▏")
    left, right = Text(), Text(_place(state), DIM)
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
    known = ["? help", "q quit", "←→ step", "][ finding" * any(map(state.view.findings, range(state.view.pages)))]
    known += ["jk scroll" * bool(_place(state)), "HL episode" * (episodes > 1), "/ search", "space play"]
    text = ""
    for hint in filter(None, known):
        if len(text) + len(hint) + 2 > room:
            break
        text += hint + "  "
    return text.rstrip()


def _place(state: State) -> str:
    """Which lines of the page are seen, where not all are."""
    total = len(lines(state))
    if total <= state.height or state.mode == "help":
        return ""
    return f"{state.scroll + 1}-{min(state.scroll + state.height, total)} of {total}"
