"""The list of a run's episodes, without a terminal."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from corrigym.episodes.chooser import Choice, Known, current, fitted, frame, listed, move, press
from corrigym.episodes.events import Payload
from tests.episodes.builder import clean, ended, guilty, innocent, started, story, write_episode
from tests.episodes.hostile import PAYLOADS
from tests.episodes.test_render import compare, drawn, everywhere
from tests.episodes.test_text import obeyed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run" / "episodes"


@pytest.fixture
def choice(folder: Path) -> Choice:
    """e1 positive and unmonitored, e2 negative and monitored, e3 without an end, e4 in another scenario, e5 no log."""
    other: list[tuple[int, Payload]] = [
        (0, started(scenario="gate-keeper", agent="anthropic/some-model", world=9)),
        (0, ended(clean(), steps=0)),
    ]
    paths = [
        write_episode(folder / "e1.jsonl"), write_episode(folder / "e2.jsonl", innocent()),
        write_episode(folder / "e3.jsonl", story()[:-1]), write_episode(folder / "e4.jsonl", other),
    ]  # fmt: skip
    (folder / "e5.jsonl").write_text("no log\n")
    return read(Choice(Known([*paths, folder / "e5.jsonl"])))


def read(choice: Choice) -> Choice:
    choice.known.read_on(len(choice.known.paths))
    return choice


def after(choice: Choice, *keys: str) -> Choice:
    for key in keys:
        choice = press(choice, key)
    return choice


def names(choice: Choice) -> str:
    return " ".join(path.stem for path in listed(choice))


def screen(choice: Choice, width: int = 120, height: int = 20) -> str:
    return drawn(frame(choice, width, height), width)


@pytest.mark.parametrize(
    ("typed", "left"),
    [
        ("", "e1 e2 e3 e4 e5"), ("positive", "e1"), ("verdict:none", "e3"), ("oversight=monitored", "e2"),
        ("oversight=unmonitored", "e1 e3 e4"), ("unmonitored positive", "e1"), ("agent:honest", "e2"),
        ("scenario:gate", "e4"), ("ANTHROPIC", "e4"), ("class:destroy", "e1"), ("negative gate-keeper", "e4"),
        ("world:9", "e4"), ("status:interrupted", "e3"), ("retraining:prevented", "e1"), ("nothing:here", ""),
    ],
)  # fmt: skip
def test_filter(choice: Choice, typed: str, left: str) -> None:
    assert names(after(choice, "/", *typed, "enter")) == left
    assert names(after(choice, "/", *typed)) == left  # as it is typed
    assert names(after(choice, "/", *typed, "enter", "esc")) == "e1 e2 e3 e4 e5"


def test_v_goes_through_the_verdicts(choice: Choice) -> None:
    assert [names(after(choice, *"v" * times)) for times in range(1, 6)] == ["e1", "e2 e4", "", "e3", "e1 e2 e3 e4 e5"]


@pytest.mark.parametrize(
    ("presses", "by", "order"),
    [
        (1, "verdict", "e1 e3 e2 e4 e5"), (3, "task", "e3 e1 e2 e4 e5"), (4, "steps", "e3 e4 e2 e1 e5"),
        (5, "scenario", "e4 e1 e2 e3 e5"), (6, "condition", "e2 e1 e3 e4 e5"), (7, "agent", "e4 e1 e3 e2 e5"),
    ],
)  # fmt: skip
def test_sort(choice: Choice, presses: int, by: str, order: str) -> None:
    choice = after(choice, *"s" * presses)
    assert (choice.sort, names(choice)) == (by, order)
    assert names(after(choice, "S")) == " ".join(reversed(order.split()))


def test_the_cursor_stays_on_its_episode(choice: Choice) -> None:
    third = after(choice, "j", "j", "s", "S")
    assert getattr(current(third), "stem", "") == "e3"


def test_moving_stops_at_both_ends_and_keeps_the_cursor_in_sight(folder: Path) -> None:
    first = write_episode(folder / "e.jsonl", innocent())
    paths = [folder / f"{number:05}.jsonl" for number in range(1000)]
    for path in paths:
        shutil.copy(first, path)
    many = fitted(read(Choice(Known(paths))), 24)
    assert (after(many, "k").cursor, after(many, "G", "j").cursor) == (0, 999)
    for keys in (["G"], ["pgdn", "pgdn", "k"], ["G", "pgup", "pgup"], ["G", "g"]):
        moved = after(many, *keys)
        assert moved.top <= moved.cursor < moved.top + moved.height
    assert "1,000 of 1,000 episodes" in screen(many)


def test_choosing(choice: Choice) -> None:
    assert after(choice, "j", "enter").mode == "open"
    marked = after(choice, "c")
    assert (marked.marked, after(marked, "c").marked) == (current(choice), None)
    assert after(marked, "j", "c").mode == "compare"
    assert after(choice, "q").mode == after(choice, "?", "q").mode == "quit"
    assert after(choice, "?", "x").mode == "list"


def test_it_is_there_before_it_has_been_read(choice: Choice) -> None:
    new = Choice(Known(choice.known.paths))
    assert "e3  …" in screen(new)
    assert "reading 0" in screen(new)
    new.known.read_on(1)
    assert "● positive" in screen(new)


def test_new_episodes_and_new_ends_are_taken_in(choice: Choice, folder: Path) -> None:
    assert not choice.known.again(choice.known.paths)
    (folder / "e3.jsonl").unlink()
    write_episode(folder / "e3.jsonl")
    late = write_episode(folder / "e6.jsonl", [(0, started(id="e6")), (0, ended(guilty()))])
    assert choice.known.again([late])
    assert names(after(choice, "v")) == "e1 e3"
    read(choice)
    assert names(after(choice, "v")) == "e1 e3 e6"


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (200, 60)])
def test_the_look(choice: Choice, width: int, height: int) -> None:
    choice.known.paths.pop()  # its message holds a path of this test
    choice.known.stamp += 1
    compare(f"list-{width}", screen(after(choice, "j", "c"), width, height))


@pytest.mark.parametrize(("width", "height"), [(80, 24), (20, 8), (10, 4), (1, 1)])
def test_it_fits_its_window(choice: Choice, width: int, height: int) -> None:
    for keys in ([], ["?"], ["/", "x"], ["v", "v", "v"]):
        assert len(screen(after(choice, *keys), width, height).splitlines()) == height


def test_what_cannot_be_read_says_why(choice: Choice) -> None:
    assert "e5.jsonl:1: not JSON" in screen(choice, 200)


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_nothing_hostile_gets_through(folder: Path, payload: str) -> None:
    path = write_episode(folder / "e.jsonl", everywhere(f"<{payload}>"))
    choice = read(Choice(Known([path, write_episode(folder / "e2.jsonl", innocent())])))
    choice = replace(choice, note=payload, wanted="")
    assert not obeyed(screen(choice, 160))
    assert not obeyed(screen(replace(choice, mode="filter", typed=payload), 160))
    assert move(choice, 5).cursor == 1
