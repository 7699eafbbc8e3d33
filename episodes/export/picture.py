"""A page of an episode as a picture: SVG by rich, without its web font, so that nothing is asked of a network."""

import html
import io
import re

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from corrigym.episodes.look import DIM
from corrigym.episodes.pages import page_rows, troubles
from corrigym.episodes.panel import panel_rows
from corrigym.episodes.render import header_lines, timeline_lines
from corrigym.episodes.rows import Row, Shown, lay
from corrigym.episodes.screen import BAR, side_by_side
from corrigym.episodes.text import line
from corrigym.episodes.verdicts import verdict_rows
from corrigym.episodes.view import EpisodeView

WIDTH, WIDE = 100, 140
"""Columns of a picture of the verdict, and of one of a step."""
LINES = 300
"""A picture gets no longer than this; it says how much it leaves out."""
FORMAT = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font: bold 18px sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
  <rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""
_RUN = re.compile(r'textLength="[^"]*"([^>]*)>([^<]*)<')
_CELL = 12.2
"""The width of a cell in rich's units."""


def to_svg(view: EpisodeView, page: int | None = None) -> str:
    """A page with the header and the timeline above it, and the assets beside it; without `page`, the verdict."""
    width = WIDTH if page is None else WIDE
    console = Console(
        record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor", _environ={}
    )
    for text in _lines(view, page, width):
        text.no_wrap, text.overflow = True, "ignore"
        console.print(text)
    drawn = console.export_svg(title=line(view.name), code_format=FORMAT)
    return _RUN.sub(_measured, drawn)


def _lines(view: EpisodeView, page: int | None, width: int) -> list[Text]:
    top = [
        *header_lines(view, width),
        Text(),
        *timeline_lines(view, view.last if page is None else page, width),
        Text(),
    ]
    body = [drawn.text for drawn in lay(_rows(view, page), WIDTH - 8 * (page is not None), Shown(diff=True))]
    if page is not None:
        room = WIDE - WIDTH + 8 - len(BAR)
        panel = [drawn.text for drawn in lay(panel_rows(view, page, 0, full=False), room)]
        body = side_by_side([body, panel], WIDTH - 8)
    rest = len(body) - LINES
    return [*top, *body[:LINES], *([Text(f"... {rest:,} more lines", DIM)] if rest > 0 else [])]


def _rows(view: EpisodeView, page: int | None) -> list[Row]:
    if page is not None:
        return page_rows(view, page)
    return [*troubles(view), *(verdict_rows(view.verdict) if view.verdict else ())]


def _measured(found: re.Match[str]) -> str:
    """rich gives a run of text the length of its characters; a wide one takes two cells, a combining mark none."""
    cells = cell_len(html.unescape(found[2]))
    return f'textLength="{_CELL * cells:g}"{found[1]}>{found[2]}<'
