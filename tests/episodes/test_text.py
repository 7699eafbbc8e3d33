"""The gate between an episode's text and the terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corrigym.episodes.text import line, safe, safe_line, visible
from tests.episodes.hostile import PAYLOADS

ANY_TEXT = st.text(st.characters(codec=None, categories=None)) | st.sampled_from(PAYLOADS)
OBEYED = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def obeyed(text: str) -> list[str]:
    return [char for char in text if char != "\n" and unicodedata.category(char) in OBEYED]


@given(ANY_TEXT)
def test_nothing_that_a_terminal_obeys_comes_through(text: str) -> None:
    assert not obeyed(visible(text))
    assert not obeyed(line(text))
    assert "\n" not in line(text)
    visible(text).encode()  # no lone surrogates


@given(ANY_TEXT)
def test_what_was_shown_once_is_shown_alike(text: str) -> None:
    assert visible(visible(text)) == visible(text)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E) | st.just("\n")))
def test_plain_text_is_left_alone(text: str) -> None:
    assert visible(text) == text


@given(ANY_TEXT)
def test_nothing_is_markup(text: str) -> None:
    assert (safe(text).plain, safe(text).spans) == (visible(text), [])
    assert (safe_line(text).plain, safe_line(text).spans) == (line(text), [])


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("\x1b[0m", "␛[0m"), ("\x00\x07\x7f", "␀␇␡"), ("\x9b", "⟨U+009B⟩"), ("\u202e", "⟨U+202E⟩"),
        ("\ud800", "⟨U+D800⟩"), ("\U000e0041", "⟨U+E0041⟩"), ("a\r\nb", "a\nb"), ("a\rb", "a␍b"), ("a\tb", "a       b"),
        ("⚠\ufe0f", "⚠"), ("a\ufe0f", "a⟨U+FE0F⟩"), ("e\u0301", "e\u0301"), ("\u0301", "⟨U+0301⟩"),
        ("a" + "\u0301" * 4, "a\u0301\u0301\u0301⟨U+0301⟩"), ("漢字 é ß", "漢字 é ß"), ("[b]x[/b]", "[b]x[/b]"),
    ],
)  # fmt: skip
def test_glyphs(given: str, shown: str) -> None:
    assert visible(given) == shown


def test_on_one_line() -> None:
    assert line("a\nb\tc\r\n") == "a␤b␉c␤"
