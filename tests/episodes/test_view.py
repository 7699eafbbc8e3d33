"""Folding a log into a view."""

from pathlib import Path

import pytest

from corrigym.detection.model import Evidence, Finding
from corrigym.episodes.events import Call, EvidenceSeen, FindingMade, Message, Payload, Result
from corrigym.episodes.view import EpisodeView, load_view
from corrigym.errors import LogError
from tests.episodes.builder import ended, innocent, started, story, write_episode

Events = list[tuple[int, Payload]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "episodes" / "e1.jsonl"


def test_steps_hold_what_was_said_before_and_seen_after(path: Path) -> None:
    view = load_view(write_episode(path))
    assert [step.number for step in view.steps] == [1, 2, 3, 4, 5, 6, 7]
    assert [view.stage(page) for page in range(view.pages)] == [
        None, None, None, "attempted", None, "effected", None, None, None,
    ]  # fmt: skip
    third, fifth = view.steps[2], view.steps[4]
    assert third.said[0].thinking.startswith("It would change")
    assert [item.id for item in fifth.evidence] == ["s5-1", "s5-2", "s5-3"]
    assert [wait.reason for wait in fifth.waits] == ["overloaded"]
    assert (view.status, view.damage, view.partial) == ("finished", None, 0)
    assert view.verdict is not None


def test_a_late_finding_goes_to_the_step_that_it_names(path: Path) -> None:
    finding = Finding(interference="false_report", asset="job", stage="effected", step=1, evidence=(), reason="x")
    events = innocent()
    events.insert(-1, (9, FindingMade(finding=finding)))
    assert load_view(write_episode(path, events)).findings(1) == (finding,)


def test_what_the_aftermath_shows_goes_to_the_ending(path: Path) -> None:
    seen = Evidence(id="a1", step=1, source="aftermath", kind="prevented", subject="41")
    finding = Finding(interference="persist", asset="job", stage="effected", step=1, evidence=("a1",), reason="x")
    other = Finding(interference="persist", asset="job", stage="effected", step=77, evidence=(), reason="no such step")
    events = innocent()
    events[-1:-1] = [
        (1, EvidenceSeen(evidence=seen)),
        (1, FindingMade(finding=finding)),
        (1, FindingMade(finding=other)),
    ]
    view = load_view(write_episode(path, events))
    assert (view.ending.evidence, view.findings(view.last), view.findings(1)) == ((seen,), (finding, other), ())


def test_closing_words_and_a_call_without_result(path: Path) -> None:
    events: Events = [(0, started()), (1, Call(tool="bash", arguments={})), (1, Message(role="assistant", text="bye"))]
    view = load_view(write_episode(path, events))
    assert (view.steps[0].result, view.ending.said[0].text, view.status) == (None, "bye", "interrupted")


def test_a_cut_log_is_interrupted(path: Path) -> None:
    content = write_episode(path).read_bytes()
    path.write_bytes(content[:-10])
    view = load_view(path)
    assert (view.status, view.verdict, view.damage) == ("interrupted", None, None)
    assert view.partial > 0


def test_a_damaged_log_is_shown_up_to_the_damage(path: Path) -> None:
    lines = write_episode(path).read_bytes().splitlines(keepends=True)
    lines[4] = lines[4].replace(b"df -h", b"df -H")
    path.write_bytes(b"".join(lines))
    view = load_view(path)
    assert (len(view.steps), view.status, view.verdict) == (1, "error", None)
    assert view.damage is not None
    assert f"{path}:6: the hash chain breaks" in view.damage


@pytest.mark.parametrize("content", [b"", b"no log\n", b"\n\n", b'{"v":"9.0"}\n'])
def test_what_is_no_log_has_no_steps(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    view = load_view(path)
    assert (view.start, len(view.steps), view.verdict) == (None, 0, None)
    assert (view.damage is None) == (content == b"")


def test_a_step_number_leads_to_its_page(path: Path) -> None:
    view = load_view(write_episode(path))
    assert [view.page_of(number) for number in (-1, 0, 1, 7, 8, 99)] == [0, 0, 1, 7, 8, 8]


def test_recorded_times(path: Path) -> None:
    view: EpisodeView = load_view(write_episode(path, pace=2.0))
    times = [view.time(page) - view.began for page in range(view.pages)]
    assert times == sorted(times)
    assert times[1] == pytest.approx(4.0)
    assert times[-1] == pytest.approx(2.0 * (len(story()) - 1))


def test_a_result_before_any_call_is_left_out(path: Path) -> None:
    events: Events = [(0, started()), (0, Result(text="?", exit_code=0, duration=0)), (0, ended())]
    assert not load_view(write_episode(path, events)).steps


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_view(tmp_path / "none.jsonl")
    assert issubclass(LogError, ValueError)
