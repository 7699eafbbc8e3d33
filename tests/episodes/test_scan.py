"""The index of a log: made while it is checked, a little at a time, also while the log still grows."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from corrigym.detection.model import Evidence, Finding
from corrigym.episodes.events import Call, EvidenceSeen, FindingMade, Message, Payload, Result
from corrigym.episodes.log import EpisodeLog
from corrigym.episodes.scan import last_event
from corrigym.episodes.view import EpisodeView, fold, load_view, open_view
from tests.episodes.builder import ended, started, story, write_episode

Events = list[tuple[int, Payload]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "episodes" / "e1.jsonl"


def many(steps: int) -> Events:
    events: Events = [(0, started())]
    for number in range(1, steps + 1):
        events.append((number, Message(role="assistant", text=f"now {number}")))
        events.append((number, Call(tool="bash", arguments={"command": f"echo {number}"})))
        events.append((number, Result(text=f"{number}\n", exit_code=0, duration=0)))
    return [*events, (steps, ended(steps=steps))]


def test_a_log_is_read_in_pieces_and_its_end_is_known_at_once(path: Path) -> None:
    view, scan = open_view(write_episode(path, many(400)))
    shares, counts = [], []
    while not scan.done:
        scan.go_on(0)
        shares.append(view.share)
        counts.append(len(view.steps))
        assert (view.status, view.verdict is not None) == ("finished", True)
    assert len(shares) > 3
    assert all(a <= b for a, b in pairwise(shares))
    assert (counts[-1], view.share, view.steps[399].call.arguments["command"]) == (400, 1.0, "echo 400")
    assert view.steps[0].said[0].text == "now 1"


def test_each_step_is_the_same_whether_its_log_was_read_at_once_or_not(path: Path) -> None:
    whole = load_view(write_episode(path))
    view, scan = open_view(path)
    while not scan.done:
        scan.go_on(0)
        list(view.steps)  # what is loaded early must not stay as it was then
    assert list(view.steps) == list(whole.steps)
    assert view.ending == whole.ending


def test_a_foretold_end_is_forgotten_when_the_log_turns_out_to_be_damaged(path: Path) -> None:
    lines = write_episode(path, many(200)).read_bytes().splitlines(keepends=True)
    lines[299] = lines[299].replace(b"echo", b"ohce")
    path.write_bytes(b"".join(lines))
    view, scan = open_view(path)
    assert view.verdict is not None
    scan.go_on()
    assert (view.ended, len(view.steps)) == (None, 99)
    assert view.status == "error"
    assert view.damage is not None


def test_a_growing_log_is_read_on(path: Path) -> None:
    with EpisodeLog(path, path.parent.parent / "blobs") as log:
        for step, payload in many(2)[:-1]:
            log.write(payload, step)
        view, scan = open_view(path)
        scan.go_on()
        assert (len(view.steps), view.ended) == (2, None)
        log.write(Call(tool="bash", arguments={"command": "more"}), 3)
        assert scan.go_on()
        assert (len(view.steps), view.steps[2].result) == (3, None)
        log.write(Result(text="done", exit_code=0, duration=0), 3)
        log.write(ended(), 3)
        scan.go_on()
        result = view.steps[2].result
        assert (result and result.text, view.status) == ("done", "finished")


def test_a_line_that_is_still_being_written_is_waited_for(path: Path) -> None:
    content = write_episode(path, many(3)).read_bytes()
    path.write_bytes(content[:-20])
    view, scan = open_view(path)
    scan.go_on()
    assert (view.ended, view.partial > 0, view.damage) == (None, True, None)
    path.write_bytes(content)
    scan.go_on()
    assert (view.status, view.partial) == ("finished", 0)


def test_a_missing_blob_is_told_where_it_is_missed(path: Path) -> None:
    events: Events = [(0, started()), (1, Call(tool="bash", arguments={})), (1, Result(text="x" * 9999, exit_code=0,
                      duration=0)), (2, Call(tool="bash", arguments={})), (2, ended())]  # fmt: skip
    write_episode(path, events)
    (blob,) = (path.parent.parent / "blobs").iterdir()
    blob.unlink()
    view, scan = open_view(path)
    scan.go_on()
    assert (view.damage, view.steps[1].lost, view.status) == (None, None, "finished")
    assert "is missing" in (view.steps[0].lost or "")
    assert "is missing" in (load_view(path).damage or "")


def test_a_read_only_folder_is_enough(path: Path) -> None:
    write_episode(path)
    before = sorted(entry.name for entry in path.parent.parent.rglob("*"))
    path.parent.chmod(0o555)
    try:
        view, scan = open_view(path)
        scan.go_on()
        assert len(view.steps) == 7
    finally:
        path.parent.chmod(0o755)
    assert sorted(entry.name for entry in path.parent.parent.rglob("*")) == before


def test_evidence_that_stands_elsewhere_is_found_by_its_id(path: Path) -> None:
    view = load_view(write_episode(path))
    found = view.find_evidence("s3-1")
    assert (found and found.kind, view.find_evidence("s9-9")) == ("trainctl.cancel", None)


def test_a_step_number_that_comes_twice(path: Path) -> None:
    def seen(name: str) -> Payload:
        return EvidenceSeen(evidence=Evidence(id=name, step=1, source="call", kind="x", subject=""))

    call = Call(tool="bash", arguments={})
    late = Finding(interference="persist", asset="job", stage="effected", step=1, evidence=(), reason="")
    events: Events = [(0, started()), (1, call), (1, seen("a")), (1, call), (1, seen("b")), (7, call),
                      (7, FindingMade(finding=late))]  # fmt: skip
    view = load_view(write_episode(path, events))
    assert [[item.id for item in step.evidence] for step in view.steps] == [["a"], ["b"], []]
    assert [view.stage(page) for page in range(view.pages)] == [None, None, "effected", None, None]
    assert [view.page_of(number) for number in (0, 1, 2, 7, 8)] == [0, 2, 2, 3, 4]


@pytest.mark.parametrize("step", [0, -5, 10**30])
def test_any_step_number_is_taken(path: Path, step: int) -> None:
    events: Events = [(0, started()), (step, Call(tool="bash", arguments={}))]
    assert load_view(write_episode(path, events)).steps[0].call.tool == "bash"


def test_what_was_seen_of_an_asset_up_to_a_page(path: Path) -> None:
    view = load_view(write_episode(path))
    assert [len(view.history("weights", page)) for page in range(view.pages)] == [0, 0, 0, 0, 0, 2, 2, 2, 2]
    assert [(touched.step, touched.sort.kind) for touched in view.history("weights", 8)] == [
        (4, "unlink"),
        (4, "removed"),
    ]
    assert view.history("nothing", 8) == []


def test_the_last_event(path: Path) -> None:
    assert last_event(write_episode(path)) == ended_of(load_view(path))
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    assert last_event(path) is None
    path.write_bytes(b"")
    assert last_event(path) is None


def test_the_last_event_may_be_long(path: Path) -> None:
    long = ended(detectors={f"detector {number}": "x" * 900 for number in range(500)})
    events = [*story()[:-1], (7, long)]
    assert last_event(write_episode(path, events)) == long


def ended_of(view: EpisodeView) -> Payload | None:
    return view.ending.ended


def test_a_changed_line_that_was_indexed_before_is_told(path: Path) -> None:
    content = write_episode(path, many(3)).read_bytes()
    view, scan = open_view(path)
    scan.go_on()
    lines = content.splitlines(keepends=True)
    lines[5] = b"#" * (len(lines[5]) - 1) + b"\n"
    path.write_bytes(b"".join(lines))
    assert "changed after it had been read" in str(view.steps[1].call.illegal)
    assert view.steps[2].call.illegal is None


def test_events_that_are_no_file_make_the_same_view(path: Path) -> None:
    from corrigym.episodes.log import read_events

    view = load_view(write_episode(path))
    told = fold(read_events(path), name="told")
    assert list(told.steps) == list(view.steps)
    assert json.dumps(told.ending.aftermath, default=str) == json.dumps(view.ending.aftermath, default=str)
