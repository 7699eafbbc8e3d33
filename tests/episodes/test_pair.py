"""Two episodes beside each other."""

from pathlib import Path

import pytest

from corrigym.episodes.actions import press
from corrigym.episodes.events import Call, Payload, Result
from corrigym.episodes.pair import Parting, compare_on, told
from corrigym.episodes.reader import State, resized, side_page
from corrigym.episodes.screen import body_size, frame
from corrigym.episodes.search import count
from corrigym.episodes.view import EpisodeView, load_view
from tests.episodes.builder import ended, innocent, started, story, write_episode
from tests.episodes.test_render import compare, drawn


def episode(folder: Path, *steps: tuple[str, str]) -> EpisodeView:
    events: list[tuple[int, Payload]] = [(0, started())]
    for number, (command, output) in enumerate(steps, 1):
        events.append((number, Call(tool="bash", arguments={"command": command})))
        events.append((number, Result(text=output, exit_code=0, duration=0)))
    return load_view(write_episode(folder / "run" / "episodes" / f"{len(list(folder.rglob('*.jsonl')))}.jsonl", [
        *events, (len(steps), ended(steps=len(steps)))]))  # fmt: skip


@pytest.fixture
def pair(tmp_path: Path) -> State:
    folder = tmp_path / "run" / "episodes"
    changed = story()
    changed[0] = (0, started(id="e2", condition={"oversight": "monitored", "objective": "conflicting"}))
    calls = [index for index, (_, payload) in enumerate(changed) if isinstance(payload, Call)]
    changed[calls[2]] = (3, Call(tool="bash", arguments={"command": "trainctl show 41"}))
    one, two = load_view(write_episode(folder / "e1.jsonl")), load_view(write_episode(folder / "e2.jsonl", changed))
    return State(one, two, parting=compare_on(Parting(), one, two, 100))


def screen(state: State, width: int, height: int) -> str:
    return drawn(frame(resized(state, *body_size(state, width, height)), width, height), width)


def after(state: State, *keys: str) -> State:
    for key in keys:
        state = press(state, key)
    return state


A, B, C = ("ls", "x\n"), ("id", "ops\n"), ("ls", "y\n")


@pytest.mark.parametrize(
    ("left", "right", "calls", "outputs", "words"),
    [
        ([A, B], [A, B], None, None, "the same calls to the end"), ([A, B], [A, A], 2, None, "they part at step 2"),
        ([A], [A, B], 2, None, "they part at step 2"), ([], [], None, None, "the same calls to the end"),
        ([A, B], [C, B], None, 1, "the same calls to the end; outputs differ from step 1 on"),
        ([A, A], [C, B], 2, 1, "they part at step 2; outputs differ from step 1 on"),
    ],
)  # fmt: skip
def test_where_they_part(
    tmp_path: Path, left: list[tuple[str, str]], right: list[tuple[str, str]], calls: int, outputs: int, words: str
) -> None:
    one, two = episode(tmp_path, *left), episode(tmp_path, *right)
    parting = compare_on(Parting(), one, two, 100)
    assert (parting.calls, parting.outputs, told(parting, one, two)) == (calls, outputs, words)
    assert parting.done(one, two)


def test_a_long_comparison_is_made_in_pieces(tmp_path: Path) -> None:
    one, two = episode(tmp_path, *[A] * 50), episode(tmp_path, *[A] * 40)
    parting = compare_on(Parting(), one, two, 10)
    assert told(parting, one, two) == "the same calls up to step 10, comparing"
    assert compare_on(parting, one, two, 100).calls == 41


def test_both_go_together(pair: State) -> None:
    assert after(pair, "=").page == 3
    assert (after(pair, "]").page, after(pair, "G").page, after(pair, "5").page) == (3, 8, 4)
    text = screen(after(pair, "="), 120, 30)
    assert "trainctl cancel 41" in text
    assert "trainctl show 41" in text
    assert "they part at step 3" in text


def test_endings_stand_beside_each_other_and_missing_steps_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "episodes"
    one, two = load_view(write_episode(folder / "a.jsonl")), load_view(write_episode(folder / "b.jsonl", innocent()))
    state = State(one, two, parting=Parting())
    assert [side_page(after(state, "G"), side) for side in range(2)] == [8, 2]
    assert "this episode ended after 1 steps" in screen(after(state, "l", "l"), 120, 30)
    assert screen(after(state, "G"), 120, 30).count("Ending  submitted") == 2


def test_search_looks_into_both(pair: State) -> None:
    found = after(pair, "/", *"trainctl show", "enter")
    assert (found.page, found.hits[0].side, count(found)) == (3, 1, "1 of 1")
    assert count(after(pair, "/", *"I start with the runbook", "enter")) == "1 of 2"


def test_there_may_be_nothing_to_part(pair: State) -> None:
    assert "one episode only" in after(State(pair.view), "=").note
    assert "not known to part" in after(State(pair.view, pair.view, parting=Parting()), "=").note


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (200, 60)])
def test_the_look(pair: State, width: int, height: int) -> None:
    compare(f"pair-{width}", screen(after(pair, "="), width, height))


@pytest.mark.parametrize(("width", "height"), [(80, 24), (20, 8), (10, 4), (4, 2), (1, 1)])
def test_it_fits_its_window(pair: State, width: int, height: int) -> None:
    for keys in ([], ["="], ["G"], ["a"], ["?"]):
        assert len(screen(after(pair, *keys), width, height).splitlines()) == height
