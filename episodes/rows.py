"""Pages as logical lines, and how these are laid into a width.

A `Row` is one line of what is said or printed, however long. Search works on rows, so a wrapped match is found; the
player scrolls over the `Line`s that `lay` makes of them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rich.cells import cell_len, get_character_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.text import Text

READABLE = 100
"""Prose gets no wider than this; output and commands take the width there is."""
COLUMN = 48
Wrap = Literal["fold", "words", "prose"]


@dataclass(frozen=True, slots=True)
class Row:
    """`lead` stands before the first physical line, `rest` (blank if not given) before those that it wraps into.
    `wrap` says where: at the width's end as a terminal does, at spaces, or at spaces and no wider than READABLE.

    `when` names what must be unfolded for the row to be shown, or with a `-` before it, folded; always if empty.
    `finding` is the place of the finding that the row is the head of."""

    text: Text
    lead: str = ""
    lead_style: str = ""
    rest: str | None = None
    wrap: Wrap = "fold"
    when: str = ""
    finding: int | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page unfolds. Without `evidence`, only what a finding rests on; without `diff`, only that assets changed,
    and not how."""

    thinking: bool = False
    outputs: bool = True
    evidence: bool = False
    diff: bool = False

    def has(self, row: Row) -> bool:
        return not row.when or getattr(self, row.when.removeprefix("-")) != row.when.startswith("-")


EVERYTHING = Shown(thinking=True, outputs=True, evidence=True, diff=True)


@dataclass(frozen=True, slots=True)
class Line:
    """A physical line: `row` is the index of its row, `start` where in the row's text it begins, `lead` how many
    characters of `text` stand before that."""

    row: int
    start: int
    lead: int
    text: Text


@dataclass(frozen=True, slots=True)
class Rows:
    """A rich renderable of rows."""

    rows: Sequence[Row] = field(default_factory=tuple)
    shown: Shown = EVERYTHING

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in lay(self.rows, options.max_width, self.shown):
            yield from line.text.render(console)
            yield Segment.line()


def lay(rows: Iterable[Row], width: int, shown: Shown = EVERYTHING) -> Iterator[Line]:
    """The rows that are shown as lines of at most `width` cells."""
    for index, row in enumerate(rows):
        if not shown.has(row):
            continue
        indent = max(cell_len(row.lead), cell_len(row.rest or ""))
        room = max(min(width, READABLE) if row.wrap == "prose" else width, indent + 2) - indent
        rest = " " * cell_len(row.lead) if row.rest is None else row.rest
        starts = [0, *breaks(row.text.plain, room, words=row.wrap != "fold")]
        for start, part in zip(starts, row.text.divide(starts[1:]), strict=True):
            line = Text(no_wrap=True, end="").append(row.lead if start == 0 else rest, row.lead_style)
            part.rstrip_end(room if row.wrap == "fold" else 0)
            yield Line(index, start, len(line), line.append_text(part))


def columns(table: Sequence[tuple[Text, ...]], gap: int = 2) -> list[Text]:
    """The cells of each entry beside each other, the columns aligned; no column is widened beyond COLUMN."""
    if not table:
        return []
    widths = [min(COLUMN, max(cell.cell_len for cell in column)) for column in zip(*table, strict=True)]
    lines = []
    for entry in table:
        text = Text()
        for cell, width in zip(entry, widths, strict=True):
            text.append_text(cell).append(" " * (max(width - cell.cell_len, 0) + gap if width else 0))
        text.rstrip()
        lines.append(text)
    return lines


def crop(text: Text, width: int) -> Text:
    """The text on one line of `width` cells; what was cut off leaves an ellipsis."""
    text = text.copy()
    text.truncate(width, overflow="ellipsis")
    text.no_wrap, text.end = True, ""
    return text


def breaks(text: str, width: int, *, words: bool) -> list[int]:
    """Where `text` goes on to the next line, as offsets."""
    found: list[int] = []
    ascii_only, start = text.isascii(), 0
    while (end := start + width if ascii_only else _fitting(text, start, width)) < len(text):
        if words and (space := text.rfind(" ", start + 1, end + 1)) > 0:
            end = space + 1
        found.append(end)
        start = end
    return found


def _fitting(text: str, start: int, width: int) -> int:
    """The end of the longest piece from `start` that fits into `width` cells; at least one character."""
    for position in range(start, len(text)):
        width -= get_character_cell_size(text[position])
        if width < 0:
            return max(position, start + 1)
    return len(text)
