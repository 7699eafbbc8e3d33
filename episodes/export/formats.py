"""What an episode can be exported as."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

from corrigym.episodes.export.cast import to_cast
from corrigym.episodes.export.data import to_json
from corrigym.episodes.export.markdown import to_markdown
from corrigym.episodes.export.page import to_html
from corrigym.episodes.export.picture import to_svg
from corrigym.episodes.view import EpisodeView
from corrigym.errors import UsageError

Format = Literal["html", "svg", "cast", "markdown", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)
ENDINGS = {"markdown": "md"}
WRITERS: dict[Format, Callable[[EpisodeView], str]] = {
    "html": to_html,
    "svg": to_svg,
    "cast": to_cast,
    "markdown": to_markdown,
    "json": to_json,
}


def export(view: EpisodeView, to: Format, step: int | None = None) -> str:
    """The episode in this format; `step` chooses what an svg shows. UsageError if there is no such step."""
    if step is None:
        return WRITERS[to](view)
    if to != "svg":
        raise UsageError(f"--at chooses the step of a picture: --to svg (a file of {to} holds all steps)")
    known = [each.number for each in view.steps]
    if step not in known:
        there = f"it has steps {min(known)} to {max(known)}" if known else "it has none"
        raise UsageError(f"the episode {view.name} has no step {step}: {there}")
    return to_svg(view, view.page_of(step))


def default_file(log: Path, to: Format, step: int | None = None) -> Path:
    """In the run's folder, named after the episode."""
    folder = log.parent.parent if log.parent.name == "episodes" else log.parent
    at = "" if step is None else f"-step{step}"
    return folder / f"{log.stem}{at}.{ENDINGS.get(to, to)}"


def write_new(path: Path, text: str, *, replace: bool = False) -> None:
    """UsageError if the file exists and is not to be replaced, or cannot be written."""
    try:
        with path.open("w" if replace else "x", encoding="utf-8", newline="") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} exists already: name another with --output, or replace it with --force") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
