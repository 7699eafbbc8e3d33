"""Episodes as plain text, from beginning to end: for a pipe, a dumb terminal, or whoever asks for it."""

import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from corrigym.episodes.render import render_dump, render_pages
from corrigym.episodes.view import open_view
from corrigym.errors import LogError

POLL = 0.25


def dump(paths: Sequence[Path], *, at: int | None = None, follow: bool = False) -> int:
    """Prints the episodes; of a running one, if it is to be followed, each step as it is done, to its end. Returns 0.
    LogError if a log cannot be opened."""
    console = Console(
        force_terminal=False, color_system=None, no_color=True, highlight=False, markup=False, emoji=False
    )  # fmt: skip
    for number, path in enumerate(paths):
        if number:
            console.print()
        try:
            _print(console, path, at, follow=follow)
        except OSError as error:
            raise LogError(f"{path}: {error.strerror}") from error
    return 0


def _print(console: Console, path: Path, at: int | None, *, follow: bool) -> None:
    view, scan = open_view(path)
    view.growing = follow
    scan.go_on()
    if not follow or at is not None or view.ended:
        pages = None if at is None else [view.page_of(at)]
        console.print(render_dump(view, pages=pages), end="", soft_wrap=False)
        return
    console.print(render_dump(view, pages=[]), end="")
    printed = 0
    while True:
        ready = view.pages if view.ended or view.damage else view.last - 1  # a step is done when the next one begins
        console.print(render_pages(view, range(printed, ready)), end="")
        console.file.flush()
        printed = max(printed, ready)
        if view.ended or view.damage:
            return
        time.sleep(POLL)
        scan.go_on()
