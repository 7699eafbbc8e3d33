"""The one gate between the text of an episode and a terminal: what a model or its host wrote is shown, never obeyed.

Everything that could move the cursor, change colours, reverse the reading direction or hide itself becomes a glyph
that can be seen: `␛` for ESC, `⟨U+202E⟩` for a bidi override. What comes out holds no character of the categories
Cc, Cf, Cs, Co, Cn, Zl or Zp other than the newline.
"""

import re
import unicodedata

from rich.style import Style
from rich.text import Text

TAB = 8
MARKS = 3
"""Combining marks in a row that a base character may carry; more of them are drawn over the neighbouring lines."""

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_BLANK = frozenset(  # letters and marks that Unicode draws as nothing: fillers and variation selectors
    map(ord, "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
) | {*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}

_EMOJI_STYLE = re.compile("(?<=[\u2190-\u2bff\U0001f000-\U0001faff])\ufe0f")
"""After a symbol this selector says only "in colour", and a reader loses nothing by it; elsewhere it is named."""


class _Glyphs(dict[int, str]):
    """For `str.translate`: what a character is shown as, worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        glyph = self[code] = _glyph(code)
        return glyph


def visible(text: str) -> str:
    """The text with nothing in it that a terminal obeys; lines end with a newline, tabs are spaces."""
    text = text.replace("\r\n", "\n")
    if "\t" in text:
        text = text.expandtabs(TAB)
    if text.isascii():
        return text if text.isprintable() else text.translate(_GLYPHS)
    return _limit_marks(_EMOJI_STYLE.sub("", text).translate(_GLYPHS))


def line(text: str) -> str:
    """`visible`, on one line: a newline is shown as `␤`."""
    return visible(text.replace("\r\n", "\n").replace("\t", "␉")).replace("\n", "␤")


def safe(text: str, style: str | Style = "") -> Text:
    """A rich text of `visible(text)`; square brackets in it are square brackets."""
    return Text(visible(text), style)


def safe_line(text: str, style: str | Style = "") -> Text:
    return Text(line(text), style)


def _glyph(code: int) -> str:
    char = chr(code)
    if code == 0x0A:
        return char
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if code in _BLANK or unicodedata.category(char) in _HIDDEN:
        return _named(code)
    return char


def _named(code: int) -> str:
    return f"⟨U+{code:04X}⟩"


_GLYPHS = _Glyphs()


def _limit_marks(text: str) -> str:
    """Combining marks without a base, or piled up, are named instead of drawn."""
    parts: list[str] = []
    room = 0
    for char in text:
        if char.isascii():
            room = MARKS if char not in "\n " else 0
        elif unicodedata.category(char) not in ("Mn", "Me"):
            room = MARKS
        elif room:
            room -= 1
        else:
            char = _named(ord(char))
        parts.append(char)
    return "".join(parts)
