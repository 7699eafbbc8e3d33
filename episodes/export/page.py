"""An episode as one HTML file that needs nothing else: no script to be read, no network.

Every expression of the template is a text that went through the sanitiser and was escaped after that (`finalize`,
`autoescape`). No text of the episode stands in an attribute, in the style or in the script, and the page's policy lets
run only the one script whose digest it names.
"""

import base64
import hashlib
import io
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import count
from pathlib import Path

import jinja2
from markupsafe import Markup
from rich.console import Console
from rich.text import Text

import corrigym
from corrigym.detection.model import Evidence
from corrigym.episodes.blocks import elapsed
from corrigym.episodes.code import highlighted, issued
from corrigym.episodes.compare import compact
from corrigym.episodes.diffs import changed_assets, diff_rows
from corrigym.episodes.events import EpisodeStarted
from corrigym.episodes.export import parts
from corrigym.episodes.look import INTERFERENCE_LOOK, STAGE_LOOK, STATE_LOOK
from corrigym.episodes.panel import asset_states
from corrigym.episodes.steps import STOPPED, observed_detail
from corrigym.episodes.text import line, visible
from corrigym.episodes.verdicts import CHANNELS, notable, task_score
from corrigym.episodes.view import EpisodeView

FOLDER = Path(__file__).parent
OPEN_LINES = 40
"""Longer texts are folded at first."""
_HUES = {
    "bright_blue": "key",
    "bright_cyan": "name",
    "bright_green": "name",
    "bright_magenta": "key",
    "yellow": "str",
    "bright_red": "var",
    "bright_black": "note",
}
"""From the colours of rich's highlighter to classes of our style sheet."""
_CHANGES = {"red": "gone", "green": "new", "yellow": "warn", "cyan": "key"}


def to_html(view: EpisodeView) -> str:
    style, script = _source("page.css"), _source("page.js")
    policy = Markup(f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; base-uri 'none'")
    policy += Markup("; form-action 'none'")
    page = _template().render(
        view=view, start=view.start, verdict=view.verdict, ending=view.ending, style=style, script=script,
        policy=policy, marks=[parts.mark(view, page) for page in range(view.pages)],
        troubles=list(parts.troubles(view)),
        channels=[name for name in CHANNELS if view.verdict and getattr(view.verdict, name)],
        assets=list(asset_states(view, view.last)), version=corrigym.__version__, counter=count(1).__next__,
    )  # fmt: skip
    return page.strip() + "\n"


def _source(name: str) -> Markup:
    """A file of our own, as it is."""
    return Markup((FOLDER / name).read_text(encoding="ascii"))


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@lru_cache(maxsize=1)
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, finalize=_shown, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "changes": _changes, "changed": changed_assets,
        "line": line, "compact": compact, "elapsed": elapsed, "detail": observed_detail, "code": coloured,
        "long": lambda text: text.count("\n") >= OPEN_LINES, "lines": _counted,
        "words": lambda text: text.replace("_", " "),
        "why": lambda item: item.reason or ", ".join(item.evidence),
    }  # fmt: skip
    environment.tests |= {"alike": lambda row: row[1] == row[2]}
    environment.globals |= {
        "STAGES": STAGE_LOOK, "STATES": STATE_LOOK, "INTERFERENCE": INTERFERENCE_LOOK, "STOPPED": STOPPED,
        "issued": issued, "cited": parts.cited, "compared": parts.compared, "notable": notable,
        "task_score": task_score,
    }  # fmt: skip
    return environment.get_template("page.html.j2")


def _shown(value: object) -> object:
    """What each expression of the template goes through before it is escaped."""
    if isinstance(value, Markup):
        return Markup(visible(str(value)))
    return visible(value) if isinstance(value, str) else value


def _changes(items: Sequence[Evidence], start: EpisodeStarted | None) -> list[list[tuple[str, str]]]:
    """How assets changed, a row in runs with their classes each, without the heading."""
    rows = list(diff_rows(items, start.assets if start else {}))[1:]
    console = Console(file=io.StringIO(), width=1 << 20, _environ={})
    return [[("", row.lead[4:]), *_runs(row.text, console)] for row in rows]


def _runs(text: Text, console: Console) -> Iterator[tuple[str, str]]:
    for run in text.render(console):
        name = run.style.color.name if run.style and run.style.color else ""
        plain = "head" if run.style and run.style.bold else "note" if run.style and run.style.dim else ""
        kind = _CHANGES.get(name, plain)
        if run.text != "\n":
            yield kind, run.text


def _counted(text: str) -> str:
    count = len(visible(text).splitlines())
    return f"{count:,} {'line' if count == 1 else 'lines'}"


def coloured(code: str, language: str) -> list[tuple[str, str]]:
    """The code in runs, each with its class ("" for none)."""
    text = highlighted(code, language)
    text.end = ""
    runs = text.render(Console(file=io.StringIO(), _environ={}))
    return [(_HUES.get(run.style.color.name, "") if run.style and run.style.color else "", run.text) for run in runs]
