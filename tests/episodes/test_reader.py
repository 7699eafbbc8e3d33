"""What keys do, without a terminal."""

from dataclasses import replace
from pathlib import Path

import pytest

from corrigym.episodes.actions import press
from corrigym.episodes.keys import split
from corrigym.episodes.reader import State, advance, delay, lines, resized
from corrigym.episodes.search import places
from corrigym.episodes.view import load_view
from tests.episodes.builder import innocent, write_episode


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(load_view(write_episode(tmp_path / "run" / "episodes" / "e1.jsonl")))


def after(state: State, *keys: str) -> State:
    for key in keys:
        state = press(state, key)
    return state


def text(state: State) -> str:
    return "\n".join(line.text.plain for line in lines(state))


@pytest.mark.parametrize(
    ("keys", "page"),
    [
        ("", 0), ("l", 1), (["right", "right", "."], 3), ("lll,", 2), (["l", "l", "left"], 1), ("h", 0), ("lh", 0),
        ("G", 8), ("Gl", 8), ("Gg", 0), (["end", "home"], 0), ("]", 3), ("]]", 5), ("]]]", 5), ("G[", 5), ("G[[", 3),
        ("0", 0), ("5", 4), ("9", 7), ("G0", 0), ([":", "6", "enter"], 6), ([":", "9", "9", "enter"], 8),
        ([":", "6", "esc"], 0), ([":", "6", "backspace", "4", "enter"], 4), ([":", "x", "enter"], 0), ("]p", 0),
        ("]pp", 3), ("]plp", 0), ("f", 3), ("fl", 5), ("fll", 5), ("flh", 3), ("flhh", 3), ("ffl", 4), ("Z", 0),
    ],
)  # fmt: skip
def test_ways_through_the_episode(state: State, keys: str | list[str], page: int) -> None:
    assert after(state, *keys).page == page


def test_scrolling_stops_at_both_ends(state: State) -> None:
    long = after(state, *":4", "enter")
    total = len(lines(long))
    assert total > long.height
    assert after(long, "k").scroll == 0
    assert after(long, "j", "down", "j", "up").scroll == 2
    assert after(long, "pgdn").scroll == long.height - 1
    assert after(long, "ctrl-d", "ctrl-d", "ctrl-u").scroll == long.height // 2
    assert after(long, *["pgdn"] * 50).scroll == total - long.height
    assert after(long, "j", "l", "h").scroll == 0


def test_search_finds_everything_that_is_shown(state: State) -> None:
    found = after(state, "/", *"LINE 6", "enter")
    assert (found.page, found.note) == (4, "1 of 2")
    assert "line 6" in visible_part(found)
    assert after(found, "n").note == "2 of 2"
    assert "line 60" in visible_part(after(found, "n"))
    assert after(found, "n", "n").note == "1 of 2"
    assert after(found, "N").note == "2 of 2"


@pytest.mark.parametrize(
    "term", ["RUNBOOK.md", "overloaded", "s5-1", "unlink", "removed a protected", "untouched twin"]
)
def test_search_looks_into_all_that_a_page_has(state: State, term: str) -> None:
    assert after(state, "/", *term, "enter").hits


def test_search_leaves_out_what_is_folded_until_it_is_unfolded(state: State) -> None:
    nothing = after(state, "/", *"change what I value", "enter")
    assert (nothing.hits, nothing.note) == ((), "not found: change what I value")
    assert len(after(nothing, "t").hits) == 1
    assert after(nothing, "t", "n").page == 3


def test_a_match_that_is_wrapped_is_found(state: State) -> None:
    narrow = resized(state, 24, 10)
    found = after(narrow, "/", *"operations assistant of the training", "enter")
    assert len(found.hits) == 1


def test_a_search_goes_on_from_here_and_around(state: State) -> None:
    found = after(state, *":6", "enter", "/", *"runbook", "enter")
    assert found.page == 0
    assert after(found, "n").page == 1
    assert after(state, "/", *"runbook", "enter", "/", "enter").term == "runbook"
    assert after(state, "n").note.startswith("nothing searched")
    assert after(state, "/", "a", "backspace", "backspace").mode == "normal"


def test_places() -> None:
    assert places("aAa", "a") == [0, 1, 2]
    assert places("İİx", "x") == [2]
    assert places("abc", "d") == []


def visible_part(state: State) -> str:
    return "\n".join(line.text.plain for line in lines(state)[state.scroll : state.scroll + state.height])


def test_folding(state: State) -> None:
    third = after(state, "]")
    assert "do not want" not in text(third)
    assert "do not want" in text(after(third, "t"))
    assert "permission denied" not in text(after(third, "o"))
    fifth = after(state, "]", "]")
    assert ("s5-3" in text(fifth), "s5-3" in text(after(fifth, "e"))) == (False, True)


def test_an_episode_without_findings(tmp_path: Path) -> None:
    state = State(load_view(write_episode(tmp_path / "run" / "episodes" / "e2.jsonl", innocent())))
    assert after(state, "f").note == "this episode has no findings"
    assert (after(state, "]").page, after(state, "]").note) == (0, "no finding after this one")


def test_playing_takes_recorded_time(state: State) -> None:
    playing = after(state, "l", " ")
    assert playing.playing
    assert delay(playing, idle_limit=60) == pytest.approx(5.0)
    assert delay(playing, idle_limit=2) == 2
    assert delay(after(playing, "+"), idle_limit=2) == 1
    assert delay(after(playing, "-"), idle_limit=2) == 4
    assert advance(playing).page == 2
    assert not after(playing, " ").playing


def test_playing_stops_at_the_end_and_starts_over(state: State) -> None:
    seventh = after(state, *":7", "enter", " ")
    done = advance(seventh)
    assert (done.page, done.playing) == (8, False)
    assert after(done, " ").page == 0


def test_playing_can_stop_at_findings(state: State) -> None:
    second = after(state, *":2", "enter", " ")
    assert advance(second).playing
    assert not advance(second, pause_on_findings=True).playing


def test_speed_has_ends(state: State) -> None:
    assert after(state, *"+" * 20).speed == 16
    assert after(state, *"-" * 20).speed == 0.25
    assert after(replace(state, speed=1.5), "+").speed == 2


def test_a_resize_keeps_the_place(state: State) -> None:
    long = after(state, *":4", "enter", *"j" * 20)
    top = lines(long)[long.scroll].text.plain
    wide = resized(long, 200, 10)
    assert lines(wide)[wide.scroll].text.plain == top
    assert resized(long, long.width, long.height) is long


def test_help_and_leaving(state: State) -> None:
    assert after(state, "?").mode == "help"
    assert after(state, "?", "l").mode == "normal"
    assert after(state, "?", "q").mode == "quit"
    assert after(state, "q").mode == "quit"
    assert after(state, "/", "q").mode == "search"


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        ("ab", ["a", "b"]), ("\x1b[C\x1b[D", ["right", "left"]), ("\x1bOA", ["up"]), ("\x1b[5~x", ["pgup", "x"]),
        ("\x1b", ["esc"]), ("\x1b\x1b", ["esc", "esc"]), ("\x1b[1;5C", []), ("\x1b[", []),
        ("\x1b[200~é\x1b[201~", ["é"]),
        ("\x04\x15\r\x7f", ["ctrl-d", "ctrl-u", "enter", "backspace"]), ("\x00\x01", []), ("\ufffd", ["\ufffd"]),
    ],
)  # fmt: skip
def test_keys_of_what_a_terminal_sends(sent: str, keys: list[str]) -> None:
    assert split(sent) == keys
