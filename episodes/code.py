"""Tool calls as code: which argument is the code, in which language, and in colours."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rich.syntax import Syntax
from rich.text import Text

from corrigym.episodes.compare import compact
from corrigym.episodes.events import Call, EpisodeStarted
from corrigym.episodes.text import safe

LIMIT = 20_000
"""Longer code stays plain: a lexer takes its time."""
LANGUAGES = {"bash": "bash", "shell": "bash", "sh": "bash", "python": "python"}
"""By tool."""
_HEREDOC = re.compile(r"<<-?[ ]*(['\"]?)(\w+)\1")


@dataclass(frozen=True, slots=True)
class Issued:
    """A call: its main argument as code of a language ("" if it is prose), the other arguments by name."""

    code: str
    language: str
    others: tuple[tuple[str, str], ...]


def issued(call: Call, start: EpisodeStarted | None) -> Issued:
    tool = next((tool for tool in start.tools if tool.name == call.tool), None) if start else None
    properties = tool.parameters.get("properties") if tool else None
    main = next(iter(properties if isinstance(properties, dict) and properties else call.arguments), "")
    code = compact(call.arguments[main]) if main in call.arguments else ""
    others = tuple((name, compact(value)) for name, value in call.arguments.items() if name != main)
    return Issued(code, LANGUAGES.get(call.tool, ""), others)


def highlighted(code: str, language: str) -> Text:
    """The code, sanitised, in the sixteen colours of the terminal; plain if its language is not known."""
    plain = safe(code.rstrip("\n"))
    if not language or len(code) > LIMIT:
        return plain
    text = _coloured(plain.plain, language)
    for before, after in _programs(plain.plain) if language == "bash" else ():
        text = Text.assemble(text[:before], _coloured(plain.plain[before:after], "python"), text[after:])
    return text if text.plain == plain.plain else plain


def _programs(code: str) -> Iterator[tuple[int, int]]:
    """Where Python programs stand that a shell command feeds to its interpreter."""
    place, end, begin = 0, "", 0
    for part in code.split("\n"):
        if end and part.lstrip("\t") == end:
            yield begin, max(place - 1, begin)
            end = ""
        elif not end and "python" in part and (found := _HEREDOC.search(part, part.index("python"))):
            end, begin = found[2], place + len(part) + 1
        place += len(part) + 1


def _coloured(code: str, language: str) -> Text:
    text = Syntax("", language, theme="ansi_dark").highlight(code)
    text.style = ""
    text.rstrip()  # the highlighter ends in a newline, and may drop what the code ends in
    return text.append(code[len(text) :])
