"""An episode as an asciicast: its pages printed in recorded time, its findings as markers.

Version 2 of the format, which every player reads; the `asciinema` of the Python package reads nothing newer.
"""

import io
import json
import math
from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console, RenderableType

from corrigym.episodes.render import render_header, render_step
from corrigym.episodes.rows import Shown
from corrigym.episodes.text import line
from corrigym.episodes.view import EpisodeView

WIDTH, HEIGHT = 100, 30
IDLE_LIMIT = 2.0
SHOWN = Shown(thinking=True, outputs=True, evidence=False)


def to_cast(view: EpisodeView) -> str:
    """A JSON value a line: the header, then `[seconds, "o", text]` and `[seconds, "m", label]`. All ASCII."""
    lines: Iterable[object] = [_header(view), *_events(view)]
    return "".join(json.dumps(entry, allow_nan=False).replace("\x7f", "\\u007f") + "\n" for entry in lines)


def _header(view: EpisodeView) -> dict[str, Any]:
    header = {"version": 2, "width": WIDTH, "height": HEIGHT, "idle_time_limit": IDLE_LIMIT}
    began = {"timestamp": int(view.began)} if math.isfinite(view.began) else {}
    return {**header, **began, "title": f"corrigym: {line(view.name)}"}


def _events(view: EpisodeView) -> Iterator[list[object]]:
    now = 0.0
    yield [now, "o", _printed(render_header(view)) + "\r\n"]
    for page in range(view.pages):
        since = view.time(page) - view.began
        now = max(now, round(since, 6)) if math.isfinite(since) else now
        yield [now, "o", _printed(render_step(view, page, SHOWN)) + "\r\n"]
        for finding in view.findings(page):
            yield [now, "m", line(f"{finding.stage} {finding.interference} on {finding.asset}")]


def _printed(what: RenderableType) -> str:
    console = Console(
        file=io.StringIO(), width=WIDTH, force_terminal=True, color_system="standard", legacy_windows=False, _environ={}
    )
    console.print(what, crop=False, no_wrap=True, overflow="ignore")
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().replace("\n", "\r\n")
