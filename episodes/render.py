"""An `EpisodeView` as rich renderables. Pure functions; the width is the console's."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.text import Text

from corrigym.episodes.blocks import elapsed
from corrigym.episodes.look import DIM, RETRAINING_STYLE, STAGE_LOOK
from corrigym.episodes.pages import page_rows, troubles
from corrigym.episodes.rows import EVERYTHING, Rows, Shown, crop
from corrigym.episodes.text import safe_line
from corrigym.episodes.verdicts import badges, verdict_rows
from corrigym.episodes.view import EpisodeView


@dataclass(frozen=True, slots=True)
class Sized:
    """A renderable of lines that are drawn for the width there is."""

    draw: Callable[[int], Iterable[Text]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for text in self.draw(options.max_width):
            yield from crop(text, options.max_width).render(console)
            yield Segment.line()


def render_header(view: EpisodeView, position: tuple[int, int] | None = None) -> RenderableType:
    """What was run, and what came of it, in two lines or three. `position`: the episode's place in its run, (2, 5)."""
    return Sized(lambda width: header_lines(view, width, position))


def render_timeline(view: EpisodeView, page: int) -> RenderableType:
    """Two lines: a mark for each page, findings by their stage, and below them the current page."""
    return Sized(lambda width: timeline_lines(view, page, width))


def render_step(view: EpisodeView, page: int, shown: Shown = EVERYTHING) -> RenderableType:
    """One page: 0 is the briefing, the last is the ending, between them the steps."""
    return Rows(page_rows(view, page), shown)


def render_verdict(view: EpisodeView) -> RenderableType:
    return Rows([*troubles(view), *(verdict_rows(view.verdict) if view.verdict else ())])


def render_episode(view: EpisodeView) -> RenderableType:
    """What `corrigym show EPISODE` prints: the header, where the findings lie, and the ending."""
    return Group(
        render_header(view),
        Text(),
        render_timeline(view, view.last),
        Text(),
        render_step(view, view.last, Shown(thinking=True)),
    )


def render_dump(view: EpisodeView, shown: Shown = EVERYTHING, pages: Iterable[int] | None = None) -> RenderableType:
    """The whole episode, or these pages of it, one after the other."""
    pages = range(view.pages) if pages is None else pages
    return Group(render_header(view), Rows(list(troubles(view))), render_pages(view, pages, shown))


def render_pages(view: EpisodeView, pages: Iterable[int], shown: Shown = EVERYTHING) -> RenderableType:
    """These pages with a rule above each."""
    parts: list[RenderableType] = []
    for page in pages:
        parts += [Sized(lambda width: [Text("─" * width, DIM)]), render_step(view, page, shown)]
    return Group(*parts)


def header_lines(view: EpisodeView, width: int, position: tuple[int, int] | None = None) -> list[Text]:
    start = view.start
    where = Text(f"{position[0]} of {position[1]}", "bold") if position and position[1] > 1 else Text()
    if start is None:
        return [_ends(safe_line(view.name, "bold"), where, width), badges(None, view.word)]
    world = Text(f"world {start.world}  epoch {start.epoch}", DIM)
    title = _joined([safe_line(start.scenario, "bold"), safe_line(start.agent), safe_line(start.sandbox), world])
    condition = Text(" ").join([safe_line(f"{name}={level}", DIM) for name, level in start.condition.items()])
    outcome = badges(view.verdict, view.word)
    if condition.cell_len + outcome.cell_len + 4 <= width:
        return [_ends(title, where, width), _ends(condition, outcome, width)]
    return [_ends(title, where, width), condition, outcome]


def timeline_lines(view: EpisodeView, page: int, width: int) -> list[Text]:
    """Each page gets two cells, or one, or shares one with its neighbours, as the width allows; at the end stands what
    became of the retraining. What of the log is still to be read is a dotted line."""
    aftermath = _aftermath(view)
    room = max(width - 1 - aftermath.cell_len, 4)
    read = max(int(room * view.share), 2)
    pitch = 2 if view.pages * 2 <= read else 1
    cells = min(view.pages, read)
    marks = Text()
    for cell in range(cells):
        first, after = cell * view.pages // cells, (cell + 1) * view.pages // cells
        mark, style = _mark(view, range(first, after))
        marks.append(mark, style + (" reverse" if first <= page < after else "")).append(" " * (pitch - 1))
    if view.share < 1:
        marks.append("┄" * (room - len(marks)), DIM)
    here = pitch * next(c for c in range(cells) if page < (c + 1) * view.pages // cells)
    caption = Text(_caption(view, page), DIM)
    if here + 2 + caption.cell_len <= width:
        return [marks.append_text(aftermath), Text.assemble(" " * here, "▲ ", caption)]
    before = " " * max(here - caption.cell_len - 1, 0)
    return [marks.append_text(aftermath), Text.assemble(before, caption, " ▲")]


def _aftermath(view: EpisodeView) -> Text:
    """What became of the retraining that was due."""
    if view.verdict is None:
        return Text()
    outcome = view.verdict.retraining
    return Text(f" ◆ {outcome.replace('_', ' ')}", RETRAINING_STYLE.get(outcome, DIM))


def _mark(view: EpisodeView, pages: range) -> tuple[str, str]:
    if stage := view.highest(pages.start, pages.stop):
        return STAGE_LOOK[stage]
    if view.last in pages and view.share == 1:
        return ("◇", "") if view.ended else ("…", DIM) if view.word == "running" else ("✗", "yellow")
    return ("▷", DIM) if 0 in pages else ("·", DIM)


def _caption(view: EpisodeView, page: int) -> str:
    when = elapsed(view.time(page) - view.began)
    if page == 0:
        return "briefing"
    if page >= view.last:
        return f"ending {when}"
    return f"step {view.number(page)} of {len(view.steps)} {when}"


def _joined(parts: Iterable[Text]) -> Text:
    return Text("  ").join(part for part in parts if part)


def _ends(left: Text, right: Text, width: int) -> Text:
    """`left` at the left edge, `right` at the right one; where both do not fit, `left` is cut."""
    room = max(width - right.cell_len - 2, 0)
    left = crop(left, room)
    return Text.assemble(left, " " * (room - left.cell_len + 2), right) if right else left
