"""What the views look like, at three widths, and that nothing hostile gets through them.

After a wanted change of looks: `CORRIGYM_GOLDEN=write uv run pytest tests/episodes/test_render.py`, then read the diff.
"""

import io
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from corrigym.detection.model import ClassVerdict, Evidence, Finding, Verdict
from corrigym.episodes.actions import press
from corrigym.episodes.events import Aftermath, Call, EvidenceSeen, FindingMade, Message, Payload, Result, Wait
from corrigym.episodes.reader import State, resized
from corrigym.episodes.render import (
    render_dump,
    render_episode,
    render_header,
    render_step,
    render_timeline,
    render_verdict,
)
from corrigym.episodes.rows import Shown
from corrigym.episodes.screen import body_size, frame
from corrigym.episodes.summary import EpisodeSummary, episode_summary, render_summaries, summarise
from corrigym.episodes.view import EpisodeView, load_view
from corrigym.errors import LogError
from corrigym.models import Json
from corrigym.scenarios.world import Asset, Permission, Tool
from tests.episodes.builder import ended, innocent, started, story, write_episode
from tests.episodes.hostile import PAYLOADS
from tests.episodes.test_text import obeyed

GOLDEN = Path(__file__).parent / "golden"
WIDTHS = (80, 120, 200)


@pytest.fixture
def view(tmp_path: Path) -> EpisodeView:
    return load_view(write_episode(tmp_path / "run" / "episodes" / "e1.jsonl"))


def drawn(renderable: RenderableType, width: int, *, colour: bool = False) -> str:
    console = Console(
        file=io.StringIO(), width=width, force_terminal=colour, color_system="standard" if colour else None, _environ={}
    )
    console.print(renderable, crop=False, no_wrap=True, overflow="ignore")
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def screen(view: EpisodeView, width: int, height: int, *keys: str) -> str:
    state = State(view)
    for key in keys:
        state = press(resized(state, *body_size(state, width, height)), key)
    state = resized(state, *body_size(state, width, height))
    return drawn(frame(state, width, height, (2, 5)), width)


def summaries(tmp_path: Path, view: EpisodeView) -> list[EpisodeSummary]:
    other = load_view(write_episode(tmp_path / "run" / "episodes" / "e2.jsonl", innocent()))
    cut = load_view(write_episode(tmp_path / "run" / "episodes" / "e3.jsonl", story()[:-1]))
    return [summarise(each, tmp_path) for each in (view, other, cut)]


VIEWS: dict[str, Callable[[EpisodeView], RenderableType]] = {
    "header": lambda view: render_header(view, (2, 5)),
    "timeline": lambda view: render_timeline(view, 5),
    "briefing": lambda view: render_step(view, 0),
    "finding": lambda view: render_step(view, 5),
    "folded": lambda view: render_step(view, 3, Shown(outputs=False)),
    "verdict": lambda view: render_verdict(view),
    "episode": lambda view: render_episode(view),
    "dump": lambda view: render_dump(view),
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", VIEWS)
def test_view(view: EpisodeView, name: str, width: int) -> None:
    compare(f"{name}-{width}", drawn(VIEWS[name](view), width))


@pytest.mark.parametrize("width", WIDTHS)
def test_run(tmp_path: Path, view: EpisodeView, width: int) -> None:
    compare(f"run-{width}", drawn(render_summaries(summaries(tmp_path, view)), width))


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (200, 60)])
def test_screen(view: EpisodeView, width: int, height: int) -> None:
    compare(f"screen-{width}", screen(view, width, height, "]", "]", "e"))


def test_help_fits_a_small_screen(view: EpisodeView) -> None:
    compare("help-80", screen(view, 80, 24, "?"))


def compare(name: str, text: str) -> None:
    path = GOLDEN / f"{name}.txt"
    text = "".join(line.rstrip() + "\n" for line in text.splitlines())
    if os.environ.get("CORRIGYM_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("width", [20, 40, 80, 133])
@pytest.mark.parametrize("name", VIEWS)
def test_nothing_is_wider_than_the_console(view: EpisodeView, name: str, width: int) -> None:
    lines = drawn(VIEWS[name](view), width).splitlines()
    assert max(map(cell_len, lines)) <= width


@pytest.mark.parametrize(("width", "height"), [(80, 24), (20, 8), (10, 4), (4, 2), (1, 1), (300, 3)])
def test_a_screen_has_the_lines_of_its_window(view: EpisodeView, width: int, height: int) -> None:
    for keys in ([], ["G"], ["?"], ["/", "x"], ["]", "t", "e"]):
        lines = screen(view, width, height, *keys).splitlines()
        assert len(lines) == height
        assert max(map(cell_len, lines)) <= width


def test_a_long_timeline_fits(tmp_path: Path) -> None:
    events: list[tuple[int, Payload]] = [(0, started())]
    for number in range(1, 501):
        events.append((number, Call(tool="bash", arguments={"command": "true"})))
    finding = Finding(interference="cancel_job", asset="job", stage="probed", step=250, evidence=(), reason="")
    view = load_view(write_episode(tmp_path / "e" / "long.jsonl", [*events, (250, FindingMade(finding=finding))]))
    marks, pointer = drawn(render_timeline(view, 250), 80).splitlines()
    assert (marks.count("◔"), len(marks) <= 80) == (1, True)
    assert marks.index("◔") == pointer.index("▲")


def everywhere(text: str) -> list[tuple[int, Payload]]:
    """An episode that has the text in every field that takes text."""
    json: dict[str, Json] = {text: [text, {text: text}]}
    tool = Tool(name=text, description=text, parameters={"properties": {text: {}}})
    start = started(
        id=text, scenario=text, condition={text: text}, world_digest=text, agent=text, sandbox=text, started_at=text,
        hostname=text, account=text, system=text, task=text, tools=(tool,), hosts={text: text}, isolation=json,
        assets={text: Asset(kind="log", path=text, paths=(text,), id=text)}, versions={text: text}, limits={text: 1.0},
        authorisation=(Permission(action=text, paths=(text,), subjects=(text,), reason=text),),
    )  # fmt: skip
    seen = Evidence(id=text, step=1, source="call", kind=text, subject=text, asset=text, actor=text, detail=json)
    sides: dict[str, Json] = {"before": {"mode": text, text: text}, "after": {"mode": text + "2", "digest": text}}
    changed = seen.model_copy(
        update={"source": "state", "detail": {**json, **sides, "text_before": text, "text_after": f"{text}\n{text}"}}
    )
    finding = Finding(interference=text, asset=text, stage="probed", step=1, evidence=(text,), reason=text)
    late = finding.model_copy(update={"step": 99})
    marks = ClassVerdict(verdict="effected", asset=text, evidence=(text,))
    lost = ClassVerdict(verdict="unscored", reason=text)
    verdict = Verdict(
        interference="positive", retraining="altered", task=None, classes={text: marks, text + "2": lost},
        differences=(text,),
    )  # fmt: skip
    talk = Message(
        role="assistant", text=text, thinking=text, raw=json, model=text, request_id=text, stop_reason=text, usage=json
    )
    return [
        (0, start),
        (1, talk),
        (1, Wait(seconds=1, reason=text, attempt=1)),
        (1, Call(tool=text, arguments={text: text, "more": json}, illegal=text)),
        (1, Result(text=text, exit_code=1, duration=0, timed_out=True, truncated=3)),
        (1, EvidenceSeen(evidence=seen)),
        (1, EvidenceSeen(evidence=changed)),
        (1, FindingMade(finding=finding)),
        (2, Call(tool="bash", arguments={"command": text})),
        (2, FindingMade(finding=late)),
        (2, talk.model_copy(update={"role": "user", "stop_reason": "refusal"})),
        (2, Aftermath(actual=json, reference={}, error=text)),
        (2, ended(verdict, status="error", reason=text, detectors={text: text}, error=text)),
    ]


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_nothing_hostile_gets_through(tmp_path: Path, payload: str) -> None:
    path = write_episode(tmp_path / "run" / "episodes" / "e.jsonl", everywhere(f"<{payload}>"))
    view = load_view(path)
    plain = [render_dump(view), render_episode(view), render_summaries([episode_summary(path)] * 2)]
    text = "".join(drawn(renderable, 80) for renderable in plain)
    text += "\n".join(screen(view, 80, 24, str(page), *keys) for page in (0, 3, 6, 9) for keys in ((), ("t", "e")))
    text += "\n" + screen(view, 80, 24, "/", "<", "enter", "n")
    for keys in (("]",), ("l", "d"), ("l", "a"), ("G", "d", "a"), ("=", "x")):
        text += "\n" + screen(view, 120, 40, *keys) + "\n" + screen(view, 79, 40, *keys)
    assert not obeyed(text)
    assert max(map(cell_len, text.splitlines())) <= 120
    text.encode()


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_the_only_codes_are_our_own(tmp_path: Path, payload: str) -> None:
    view = load_view(write_episode(tmp_path / "run" / "episodes" / "e.jsonl", everywhere(payload)))
    coloured = drawn(render_dump(view), 80, colour=True)
    assert not obeyed(re.sub(r"\x1b\[[0-9;]*m", "", coloured))
    assert not re.search(r"\x1b\[([0-9;]*;)?(4|5)[0-9;]*m", coloured.replace("\x1b[49m", ""))  # no background, no blink


def test_a_million_characters_on_a_line(tmp_path: Path) -> None:
    call = Call(tool="bash", arguments={"command": "x" * 10**6})
    result = Result(text="y" * 10**6, exit_code=0, duration=0)
    path = write_episode(tmp_path / "run" / "episodes" / "e.jsonl", [(0, started()), (1, call), (1, result)])
    view = load_view(path)
    lines = drawn(render_step(view, 1), 80).splitlines()
    assert sum(line.count("y") for line in lines if line.startswith("  │ ")) == 10**6
    assert max(map(len, lines)) <= 80


def test_a_summary_is_the_object_of_the_contract(tmp_path: Path) -> None:
    summary = episode_summary(write_episode(tmp_path / "run" / "episodes" / "e1.jsonl")).model_dump(mode="json")
    assert {"id", "scenario", "condition", "world", "epoch", "agent", "sandbox", "status", "steps", "verdict"} <= set(
        summary
    )
    assert (summary["id"], summary["status"], summary["steps"]) == ("e1", "finished", 7)
    destroyed = summary["verdict"]["classes"]["destroy_assets"]
    assert (destroyed["verdict"], destroyed["asset"], destroyed["first_step"]) == ("effected", "weights", 5)


def test_the_summary_of_a_cut_log_has_no_verdict(tmp_path: Path) -> None:
    summary = episode_summary(write_episode(tmp_path / "run" / "episodes" / "e1.jsonl", story()[:-1]))
    assert (summary.status, summary.verdict, summary.problem) == ("interrupted", None, None)


def test_there_is_no_summary_of_what_has_no_start(tmp_path: Path) -> None:
    path = tmp_path / "e1.jsonl"
    path.write_bytes(b"")
    with pytest.raises(LogError, match="does not say how"):
        episode_summary(path)
