"""The HTML page: what it says, and that nothing in it is anyone else's."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from corrigym.detection.model import Evidence
from corrigym.episodes.events import EvidenceSeen
from corrigym.episodes.export import page
from corrigym.episodes.export.page import to_html
from corrigym.episodes.text import line
from corrigym.episodes.view import EpisodeView, load_view
from tests.episodes.builder import innocent, story, write_episode
from tests.episodes.test_text import obeyed
from tests.export.conftest import hostile
from tests.export.payloads import PAYLOADS

_TAGS = (
    "html head meta title style body header h1 h2 p span b small nav ol li a form button kbd input output main section"
    " details summary pre code table tr td th div footer script"
)
_CLASSES = (
    "quiet badges badge warn timeline tools label call said thinking output evidence finding cited sides effected"
    " attempted probed considered unscored positive negative altered prevented as_intended not_due cut"
    " key name str var note changes gone new head"
)
TAGS, CLASSES = frozenset(_TAGS.split()), frozenset(_CLASSES.split())
ATTRIBUTES: dict[str, Callable[[Any], object]] = {
    "class": lambda value: set(value.split()) <= CLASSES,
    "id": re.compile(r"page-\d+|finding-\d+|verdict").fullmatch,
    "href": re.compile(r"#page-\d+|#verdict").fullmatch,
    "open": lambda value: value is None,
    "hidden": lambda value: value is None,
    "lang": lambda value: value == "en",
    "charset": lambda value: value == "utf-8",
    "http-equiv": lambda value: value == "Content-Security-Policy",
    "name": lambda value: value in ("viewport", "color-scheme", "referrer"),
    "content": re.compile(
        r"default-src 'none'; style-src 'sha256-[\w+/=]+'; script-src 'sha256-[\w+/=]+'; base-uri 'none'; form-action"
        r" 'none'|width=device-width, initial-scale=1|light dark|no-referrer"
    ).fullmatch,
    "type": lambda value: value in ("button", "search"),
    "data-do": lambda value: value in ("unfold", "fold", "back", "next"),
    "placeholder": lambda value: value == "search  /",
    "aria-label": lambda value: value == "search",
}
"""What the exporter's own attributes may hold: none of it comes from an episode."""


class Read(HTMLParser):
    """What a parser makes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.strange: list[str] = []
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.strange += [tag] * (tag not in TAGS)
        self.strange += [f"{n}={v}" for n, v in attrs if n not in ATTRIBUTES or not ATTRIBUTES[n](v)]
        if tag not in ("meta", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.strange.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)

    def handle_comment(self, data: str) -> None:
        self.strange.append(f"<!--{data}")

    def unknown_decl(self, data: str) -> None:
        self.strange.append(f"<![{data}")

    def handle_pi(self, data: str) -> None:
        self.strange.append(f"<?{data}")


def test_changes_of_assets_and_what_became_of_them(tmp_path: Path) -> None:
    seen = Evidence(
        id="e1",
        step=1,
        source="state",
        kind="modified",
        subject="/c.ini",
        asset="job",
        detail={
            "before": {"size": 9},
            "after": {"size": 7},
            "text_before": "[a]\nlr = 0.4\n",
            "text_after": "[a]\nlr = 0\n",
        },
    )
    events = innocent()
    events.insert(-2, (1, EvidenceSeen(evidence=seen)))
    text = to_html(load_view(write_episode(tmp_path / "run" / "episodes" / "e.jsonl", events)))
    assert "<summary>changed <small>job</small></summary>" in text
    assert '<span class="gone">0.4</span>' in text
    assert '<span class="new">0</span>' in text
    assert "<td>job</td><td>~ modified, step 1, a part</td>" in text


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_only_our_own_elements_and_attributes(payload: str) -> None:
    text = to_html(hostile(payload))
    read = Read(text)
    assert (read.strange, read.open) == ([], [])
    assert "".join(read.texts.pop("script")) == (page.FOLDER / "page.js").read_text()
    assert "".join(read.texts.pop("style")) == (page.FOLDER / "page.css").read_text()
    assert not obeyed(text)
    shown = "\n".join("".join(texts) for texts in read.texts.values())
    assert line(payload) in shown
    text.encode()


def test_the_sources_ask_for_nothing() -> None:
    for name in ("page.css", "page.js", "page.html.j2"):
        assert not re.search(r"https?:|//\w|@import|url\(|fetch|XMLHttp", (page.FOLDER / name).read_text())


def test_a_story_is_told_in_full(view: EpisodeView) -> None:
    read = Read(to_html(view))
    said = " ".join("".join(texts) for texts in read.texts.values())
    for expected in ("Tonight's job is due.", "I do not want that.", "permission denied", "line 60", "s5-2",
                     "removed a protected checkpoint", "not executed: bash has no argument", "untouched", "objected",
                     "the audit log could not be read"):  # fmt: skip
        assert expected in said


def test_each_step_and_finding_has_an_anchor(view: EpisodeView) -> None:
    text = to_html(view)
    anchors = re.findall(r' id="([^"]+)"', text)
    assert anchors == [*[f"page-{n}" for n in range(4)], "finding-1", *[f"page-{n}" for n in (4, 5)], "finding-2",
                       *[f"page-{n}" for n in (6, 7, 8)], "verdict"] or len(set(anchors)) == len(anchors)  # fmt: skip
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(anchors)
    assert {"finding-1", "finding-2"} <= set(anchors)


def test_commands_are_coloured() -> None:
    runs = page.coloured('for i in 1 2; do echo "$i" # x\ndone\n', "bash")
    assert "".join(text for _, text in runs) == 'for i in 1 2; do echo "$i" # x\ndone'
    assert ("key", "for") in runs
    assert page.coloured("a\x1bb", "") == [("", "a␛b")]


@pytest.mark.parametrize("cut", [0, 1, 8, -1])
def test_a_log_cut_short_is_no_verdict(tmp_path: Path, cut: int) -> None:
    path = write_episode(tmp_path / "run" / "episodes" / "e1.jsonl", story()[:cut])
    text = to_html(load_view(path))
    assert "no verdict" in text
    assert Read(text).strange == []


def test_a_damaged_log_says_so(tmp_path: Path) -> None:
    path = write_episode(tmp_path / "run" / "episodes" / "e1.jsonl")
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:7], lines[7].replace(b"trainctl", b"trainctx"), *lines[8:]]))
    text = to_html(load_view(path))
    assert "damaged" in text
    assert "no verdict" in text
