"""The pictures: valid XML, of our own elements, that link nowhere."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from corrigym.episodes.events import Call, Payload, Result
from corrigym.episodes.export.picture import LINES, to_svg
from corrigym.episodes.view import EpisodeView, load_view
from tests.episodes.builder import started, write_episode
from tests.episodes.test_text import obeyed
from tests.export.conftest import hostile
from tests.export.payloads import PAYLOADS

SVG = "{http://www.w3.org/2000/svg}"
TAGS = {SVG + name for name in ("svg", "style", "defs", "clipPath", "rect", "g", "text", "circle")}
ATTRIBUTES = {
    "viewBox", "id", "class", "x", "y", "width", "height", "rx", "cx", "cy", "r", "fill", "stroke", "stroke-width",
    "transform", "clip-path", "textLength", "text-anchor", "shape-rendering",
}  # fmt: skip
VALUE = re.compile(r"[\w.,() #-]*|rgba\([\d.,]+\)|url\(#terminal-\d+-(line-\d+|clip-terminal)\)")


def check(svg: str) -> str:
    """The text in the picture."""
    root = ET.fromstring(svg)
    for element in root.iter():
        assert element.tag in TAGS
        assert set(element.attrib) <= ATTRIBUTES
        assert all(VALUE.fullmatch(value) for value in element.attrib.values()), element.attrib
    assert svg.count("http") == "".join(root.itertext()).count("http") + 1  # the namespace
    style = "".join(element.text or "" for element in root.iter(SVG + "style"))
    assert not re.search(r"url|@|http", style)
    return "\n".join(element.text or "" for element in root.iter(SVG + "text")).replace("\xa0", " ")


def printing(folder: Path, result: Result) -> EpisodeView:
    """An episode whose only call returned this."""
    call = Call(tool="bash", arguments={"command": "true"})
    events: list[tuple[int, Payload]] = [(0, started()), (1, call), (1, result)]
    return load_view(write_episode(folder / "run" / "episodes" / "e.jsonl", events))


def test_only_our_own_elements() -> None:
    for payload in PAYLOADS:
        view = hostile(payload)
        for page in (None, 1):
            svg = to_svg(view, page)
            check(svg)
            assert not obeyed(svg)
            svg.encode()


def test_a_step_and_the_summary(view: EpisodeView) -> None:
    step = check(to_svg(view, 5))
    assert "removed a protected checkpoint" in step
    assert "Step 5 of 7" in step
    summary = check(to_svg(view))
    assert "the job ended with status failed: no base checkpoint" in summary
    assert "prevented" in summary


def test_wide_characters_take_two_cells(tmp_path: Path) -> None:
    result = Result(text="漢字漢字", exit_code=0, duration=0)
    events: list[tuple[int, Payload]] = [
        (0, started()),
        (1, Call(tool="bash", arguments={"command": "true"})),
        (1, result),
    ]
    view = load_view(write_episode(tmp_path / "run" / "episodes" / "e.jsonl", events))
    found = re.search(r'textLength="([\d.]+)"[^>]*>漢字漢字<', to_svg(view, 1))
    assert found is not None
    assert float(found[1]) == pytest.approx(8 * 12.2)


def test_a_long_page_is_cut_and_says_so(tmp_path: Path) -> None:
    result = Result(text="".join(f"{n}\n" for n in range(5000)), exit_code=0, duration=0)
    events: list[tuple[int, Payload]] = [
        (0, started()),
        (1, Call(tool="bash", arguments={"command": "seq"})),
        (1, result),
    ]
    view = load_view(write_episode(tmp_path / "run" / "episodes" / "e.jsonl", events))
    text = check(to_svg(view, 1))
    assert re.search(r"\.\.\. 4,\d+ more lines", text)
    assert text.count("│") < 2 * LINES
