"""What keys do, without a terminal."""

from dataclasses import replace
from pathlib import Path

import pytest

from corrigym.detection.model import Evidence, Finding
from corrigym.episodes.actions import press
from corrigym.episodes.events import Call, EvidenceSeen, FindingMade, Payload, Result
from corrigym.episodes.keys import split
from corrigym.episodes.reader import State, advance, beside, delay, lines, resized
from corrigym.episodes.rows import Shown
from corrigym.episodes.search import count, hunt_on, places
from corrigym.episodes.view import load_view
from tests.episodes.builder import innocent, started, story, write_episode


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
    assert (found.page, count(found)) == (4, "1 of 2")
    assert "line 6" in visible_part(found)
    assert count(after(found, "n")) == "2 of 2"
    assert "line 60" in visible_part(after(found, "n"))
    assert count(after(found, "n", "n")) == "1 of 2"
    assert count(after(found, "N")) == "2 of 2"


@pytest.mark.parametrize(
    "term", ["RUNBOOK.md", "overloaded", "s5-1", "unlink", "removed a protected", "untouched twin"]
)
def test_search_looks_into_all_that_a_page_has(state: State, term: str) -> None:
    assert after(state, "/", *term, "enter").hits


@pytest.mark.parametrize(
    ("term", "page", "fold"),
    [("change what I value", 3, "thinking"), ("s5-3", 5, "evidence"), ("line 44", 4, "outputs")],
)
def test_search_unfolds_what_it_finds(state: State, term: str, page: int, fold: str) -> None:
    folded = replace(state, shown=Shown(outputs=False))
    found = after(folded, "/", *term, "enter")
    assert (found.page, count(found), getattr(found.shown, fold)) == (page, "1 of 1", True)
    assert term in visible_part(found)


def test_what_is_not_there_is_not_found(state: State) -> None:
    nothing = after(state, "/", *"no such words", "enter")
    assert (nothing.hits, nothing.note, nothing.page) == ((), "not found: no such words", 0)


def test_a_long_search_tells_how_far_it_has_come_and_then_counts_in_order(tmp_path: Path) -> None:
    events: list[tuple[int, Payload]] = [(0, started())]
    for number in range(1, 101):
        events.append((number, Call(tool="bash", arguments={"command": f"needle {number}"})))
    long = State(load_view(write_episode(tmp_path / "run" / "episodes" / "long.jsonl", events)))
    found = after(long, *":60", "enter", "/", *"NEEDLE", "enter")
    assert (found.page, count(found)) == (60, "32 so far, searching 31 %")
    assert after(found, "n", "n").page == 62
    done = hunt_on(after(found, "n"), 1000)
    assert (done.hunt, done.page, count(done)) == (None, 61, "61 of 100")
    assert count(after(done, "N", "N")) == "59 of 100"


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


def test_findings_on_one_page_are_gone_through_one_by_one(tmp_path: Path) -> None:
    more = Finding(interference="hide_copy", asset="weights", stage="attempted", step=5, evidence=("s5-3",), reason="y")
    events = story()
    events.insert(-2, (5, FindingMade(finding=more)))
    two = after(State(load_view(write_episode(tmp_path / "run" / "episodes" / "two.jsonl", events))), "]", "]")
    assert [(two.page, two.cursor), *((s.page, s.cursor) for s in (after(two, "]"), after(two, "]", "[")))] == [
        (5, 0), (5, 1), (5, 0),
    ]  # fmt: skip
    assert "hide_copy" in "\n".join(line.text.plain for line in beside(after(two, "]"), 60))
    assert "hide_copy" not in "\n".join(line.text.plain for line in beside(two, 60))
    assert (after(two, "G", "[").page, after(two, "G", "[").cursor) == (5, 1)


def test_unfolding_brings_what_was_folded_into_sight(tmp_path: Path) -> None:
    long = Result(text="x\n" * 100, exit_code=0, duration=0)
    seen = Evidence(id="e1", step=1, source="state", kind="modified", subject="/a.txt", asset="job", detail={
        "before": {"size": 2}, "after": {"size": 3}, "text_before": "a\n", "text_after": "b\n"})  # fmt: skip
    events: list[tuple[int, Payload]] = [
        (0, started()), (1, Call(tool="bash", arguments={"command": "x"})), (1, long), (1, EvidenceSeen(evidence=seen)),
    ]  # fmt: skip
    first = after(State(load_view(write_episode(tmp_path / "run" / "episodes" / "d.jsonl", events))), "l")
    assert "+ b" not in text(first)
    assert "+ b" in visible_part(after(first, "d"))
    assert after(first, "d", "d").scroll == 0 or "+ b" not in text(after(first, "d", "d"))


@pytest.mark.parametrize("key", ["d", "t"])
def test_there_may_be_nothing_to_unfold(state: State, key: str) -> None:
    assert "here" in after(state, "l", key).note


def test_the_assets_take_the_page_and_give_it_back(state: State) -> None:
    fifth = after(state, "]", "]")
    assert "protected assets  at step 5" in text(after(fifth, "a"))
    assert text(after(fifth, "a", "a")) == text(fifth)
    assert "Step 3" in text(after(fifth, "a", "/", *"permission denied", "enter"))


@pytest.mark.parametrize(("key", "asked"), [("h", "h"), ("J", "J"), ("esc", ""), ("z", "")])
def test_export_asks_for_a_format(state: State, key: str, asked: str) -> None:
    assert after(state, "x").mode == "export"
    assert (after(state, "x", key).mode, after(state, "x", key).export) == ("normal", asked)
