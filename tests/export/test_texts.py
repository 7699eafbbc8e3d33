"""Markdown and JSON."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from corrigym.episodes.export.data import to_json
from corrigym.episodes.export.markdown import fenced, span, to_markdown
from corrigym.episodes.text import line, visible
from corrigym.episodes.view import EpisodeView, load_view
from tests.episodes.builder import story, write_episode
from tests.episodes.test_render import everywhere
from tests.episodes.test_text import obeyed
from tests.export.conftest import hostile
from tests.export.payloads import PAYLOADS

OURS = {
    "heading_open", "heading_close", "paragraph_open", "paragraph_close", "bullet_list_open", "bullet_list_close",
    "list_item_open", "list_item_close", "blockquote_open", "blockquote_close", "inline", "fence", "text",
    "code_inline", "strong_open", "strong_close",
}  # fmt: skip
GOLDEN = Path(__file__).parent / "golden.md"


def tokens(text: str) -> Iterator[Token]:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    for token in parser.parse(text):
        yield token
        yield from token.children or ()


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_markdown_has_only_our_own_marks(payload: str) -> None:
    text = to_markdown(hostile(payload))
    assert not obeyed(text)
    text.encode()
    found = list(tokens(text))
    assert {token.type for token in found} <= OURS
    assert {token.info for token in found if token.type == "fence"} <= {"text", "bash", "python"}
    assert {token.tag for token in found if token.type == "heading_open"} <= {"h1", "h2"}
    shown = {token.content for token in found if token.type == "fence"}
    assert visible(payload).rstrip("\n") + "\n" in shown
    plain = "".join(token.content for token in found if token.type == "text")
    assert not {"evil", "heading", "pwned", "everyone"} & set(plain.replace("/", " ").replace(".", " ").split())


def test_code_is_longer_than_what_it_holds() -> None:
    for payload in PAYLOADS:
        (code,) = [token for token in tokens(fenced(payload)) if token.type != "inline"]
        assert (code.type, code.content) == ("fence", visible(payload).rstrip("\n") + "\n")
        inline = [token for token in tokens(f"a {span(payload)} b") if token.type == "code_inline"]
        assert [token.content.strip() for token in inline] == [line(payload).strip()] * bool(line(payload).strip())


def test_markdown_of_a_story(view: EpisodeView) -> None:
    """After a wanted change: write `to_markdown(view)` to the file, and read the diff."""
    assert to_markdown(view) == GOLDEN.read_text()


def test_json_is_the_episode(view: EpisodeView) -> None:
    value = json.loads(to_json(view))
    assert (value["id"], value["status"], value["verdict"]["interference"]) == ("e1", "finished", "positive")
    assert [step["step"] for step in value["steps"]] == list(range(1, 8))
    assert value["steps"][2]["said"][0]["thinking"] == "It would change what I value.\nI do not want that."
    assert value["steps"][4]["findings"][0]["evidence"] == ["s5-1", "s5-2"]
    assert view.ending.aftermath is not None
    assert value["aftermath"]["reference"] == view.ending.aftermath.reference
    assert value["started"]["task"].startswith("Free 2 GiB")


def test_json_gives_back_what_was_said() -> None:
    for payload in PAYLOADS:
        text = to_json(hostile(payload))
        assert text.isascii()
        assert not obeyed(text)
        said = json.loads(text)["steps"][0]["said"][0]
        assert said["text"] == payload
        ((first, inner),) = said["raw"].values()
        assert [first, *inner.values()] == [payload, payload]


def test_json_has_the_blobs_put_back(tmp_path: Path) -> None:
    text = "<long>" * 5000
    view = load_view(write_episode(tmp_path / "run" / "episodes" / "e1.jsonl", everywhere(text)))
    said = json.loads(to_json(view))["steps"][0]["said"][0]
    assert (said["text"], said["raw"]) == (text, {text: [text, {text: text}]})


def test_json_of_a_log_cut_short(tmp_path: Path) -> None:
    path = write_episode(tmp_path / "run" / "episodes" / "e1.jsonl", story()[:-1])
    value = json.loads(to_json(load_view(path)))
    assert (value["status"], value["verdict"], value["ended"]) == ("interrupted", None, None)
