"""The building blocks of pages: labels, texts and tables as rows."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from rich.text import Text

from corrigym.episodes.look import DIM, LABEL
from corrigym.episodes.rows import Row, Wrap, columns
from corrigym.episodes.text import line, safe_line, visible

BLANK = Row(Text(""))


def title(text: str, aside: str) -> Row:
    return Row(Text.assemble((text, "bold"), (f"  {aside}", DIM)))


def label(text: str, aside: str = "", style: str = LABEL) -> Row:
    return Row(Text.assemble((text, style), (f"  {aside}" if aside else "", DIM)), "  ")


def block(text: str, lead: str = "    ", style: str = "", *, wrap: Wrap = "prose") -> list[Row]:
    return [Row(Text(part, style), lead, DIM, lead, wrap) for part in visible(text).rstrip("\n").split("\n")]


def prose(name: str, text: str) -> list[Row]:
    return [label(name), *block(text)] if text else []


def table(name: str, entries: Iterable[tuple[str, ...]]) -> list[Row]:
    cells = [tuple(safe_line(cell) for cell in entry) for entry in entries]
    return [label(name), *(Row(text, "    ", wrap="words") for text in columns(cells))] if cells else []


def when(fold: str, rows: Iterable[Row]) -> Iterator[Row]:
    """The rows, shown only when this is unfolded (or with a `-`, folded)."""
    return (replace(row, when=fold) for row in rows)


def folded(text: str) -> str:
    count = len(visible(text).splitlines())
    return f"{count:,} {'line' if count == 1 else 'lines'} folded"


def elapsed(seconds: float) -> str:
    """`+1:02.5`, or `+1:00:02.5` from an hour on."""
    minutes, rest = divmod(max(seconds, 0.0), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"+{hours}:{minutes:02}:{rest:04.1f}" if hours else f"+{minutes}:{rest:04.1f}"


def named(text: str, value: str) -> str:
    return f"{line(text)}={line(value)}"
